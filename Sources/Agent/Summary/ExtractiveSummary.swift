import Memory

/// Sums a batch of turns up without a model: keeps the sentences whose words weigh most, in their order, word
/// for word.
enum ExtractiveSummary {
    static let summaryLimit = 1600

    private struct Candidate {
        var sentence: String
        var terms: Set<String>
        /// What its speaker and its form are worth.
        var standing: Double
    }

    static func summary(of request: SummaryRequest) -> BatchSummary {
        let candidates = candidates(in: request.turns)
        let kept = heaviest(candidates)
        return BatchSummary(
            summary: kept.map(\.sentence).joined(separator: " "),
            entities: Entities.found(in: kept.map(\.sentence)))
    }

    private static func candidates(in turns: [StoredTurn]) -> [Candidate] {
        var seen: Set<String> = []
        var candidates: [Candidate] = []
        for message in turns.lazy.flatMap(\.turn.messages) {
            let isUser = message.role == .user
            // What the built-in model says is quoted from what it was told, or about itself.
            guard isUser || message.role == .assistant && !BuiltinAnswer.isOwn(message.content) else {
                continue
            }
            for sentence in Sentences.split(message.content) where seen.insert(sentence).inserted {
                let terms = Set(Lexicon.contentTerms(of: sentence))
                if terms.isEmpty || !MemoryWish.isWorthRecalling(sentence) { continue }
                let asks = Sentences.asks(sentence)
                let whole = Sentences.bounded(sentence, bytes: summaryLimit)
                candidates.append(
                    Candidate(sentence: whole, terms: terms, standing: (isUser ? 1 : 0.5) * (asks ? 0.2 : 1)))
            }
        }
        return candidates
    }

    /// The candidates of greatest weight that fit, in their first order.
    private static func heaviest(_ candidates: [Candidate]) -> [Candidate] {
        var frequency: [String: Int] = [:]
        for candidate in candidates {
            for term in candidate.terms { frequency[term, default: 0] += 1 }
        }
        func weight(_ candidate: Candidate) -> Double {
            // Sorted, since a sum of doubles depends on its order and a set has none.
            let sum = candidate.terms.sorted().reduce(0) { sum, term in
                let isFigure = term.utf8.contains { (0x30...0x39).contains($0) }
                return sum + (isFigure ? 3 : 1) / Double(frequency[term] ?? 1).squareRoot()
            }
            return candidate.standing * sum / Double(candidate.terms.count + 3).squareRoot()
        }
        let ranked = candidates.indices
            .map { (index: $0, weight: weight(candidates[$0])) }
            .sorted { $0.weight != $1.weight ? $0.weight > $1.weight : $0.index < $1.index }
        var room = summaryLimit
        var kept: [Int] = []
        for (index, _) in ranked {
            let size = candidates[index].sentence.utf8.count + 1
            // Always keeps one, so that a batch of one long sentence has a summary.
            if size > room && !kept.isEmpty { continue }
            room -= size
            kept.append(index)
        }
        return kept.sorted().map { candidates[$0] }
    }
}

import Memory

/// Composes the built-in model's answer: the remembered statements that share the question's words, quoted
/// with their source.
enum BuiltinAnswer {
    /// A statement that may answer, and where it comes from.
    private struct Candidate {
        enum Source {
            case turn(Int)
            case memory(session: String, date: String)
            case summary
        }

        var text: String
        var terms: Set<String>
        var source: Source
    }

    /// Part of the question's weight that an answer must share.
    private static let threshold = 0.3
    private static let mostQuotations = 3
    private static let quotationLimit = 400

    /// The whole reply. The same prompt always gives the same one.
    static func text(for prompt: Prompt) -> String {
        let question = prompt.newMessages.last { $0.role == .user }?.content ?? ""
        let phrases = ScalarClass.isIdeographic(question) ? BuiltinPhrases.chinese : .english
        var parts: [String] = []
        let asksForIdentity = BuiltinPhrases.asksForIdentity(question)
        if asksForIdentity || prompt.context.isEmpty && prompt.rollingSummary.isEmpty {
            parts.append(phrases.introduction)
        }
        if !asksForIdentity { parts.append(body(question, prompt, phrases)) }
        return parts.joined(separator: " ")
    }

    /// Whether the built-in model wrote this text.
    static func isOwn(_ text: String) -> Bool {
        BuiltinPhrases.openings.contains { text.hasPrefix($0) }
    }

    private static func body(_ question: String, _ prompt: Prompt, _ phrases: BuiltinPhrases) -> String {
        guard MemoryWish.isWorthRecalling(question) else { return phrases.idle }
        let sentences = Sentences.split(question)
        let asked = sentences.filter { Sentences.asks($0) }
        guard !asked.isEmpty else {
            let whole = Sentences.bounded(sentences.joined(separator: " "), bytes: quotationLimit)
            return "\(phrases.noted) \(phrases.quotes.open)\(whole)\(phrases.quotes.close)"
        }
        // What the same message states may be what its question is about.
        let stated = sentences.filter { !Sentences.asks($0) }
        let candidates = candidates(prompt)
        let terms = Set(Lexicon.contentTerms(of: asked.joined(separator: " ")))
        if terms.isEmpty {
            guard !candidates.isEmpty else { return phrases.nothingFound }
            return quoted(Array(candidates.prefix(mostQuotations)), phrases, opening: phrases.listing)
        }
        let context = terms.union(Lexicon.contentTerms(of: stated.joined(separator: " ")))
        let found = best(candidates, for: terms, preferring: context)
        guard let first = found.first else { return phrases.nothingFound }
        let isMemory = if case .memory = first.source { true } else { false }
        return quoted(found, phrases, opening: isMemory ? phrases.remembered : phrases.told)
    }

    /// Newest first within the conversation, then memories, best first.
    private static func candidates(_ prompt: Prompt) -> [Candidate] {
        var seen: Set<String> = []
        var candidates: [Candidate] = []
        func add(_ text: String, _ source: Candidate.Source) {
            for sentence in Sentences.split(text) where !Sentences.asks(sentence) && !isOwn(sentence) {
                guard MemoryWish.isWorthRecalling(sentence), seen.insert(sentence).inserted else { continue }
                let terms = Set(Lexicon.contentTerms(of: sentence))
                if !terms.isEmpty {
                    candidates.append(Candidate(text: sentence, terms: terms, source: source))
                }
            }
        }
        for stored in prompt.context.reversed() {
            for message in stored.turn.messages where message.role == .user {
                add(message.content, .turn(stored.sequence))
            }
        }
        for memory in prompt.recalled {
            let source = Candidate.Source.memory(session: memory.session, date: QuotedData.date(memory.time))
            add(userLines(of: memory.excerpt), source)
            add(userLines(of: memory.text), source)
        }
        add(prompt.rollingSummary, .summary)
        return candidates
    }

    /// A memory's text without what an assistant said and without the speakers' names.
    private static func userLines(of text: String) -> String {
        var lines: [Substring] = []
        var isUser = true
        for line in text.split(whereSeparator: \.isNewline) {
            var line = line
            for role in ["user", "assistant", "system", "tool"] where line.lowercased().hasPrefix(role + ":")
            {
                isUser = role == "user"
                line = line.dropFirst(role.count + 1)
            }
            if isUser { lines.append(line) }
        }
        return lines.joined(separator: "\n")
    }

    /// A candidate with how well it fits the question.
    private struct Match {
        var candidate: Candidate
        var offset: Int
        /// Part of the question's weight that it shares.
        var share: Double
        var score: Double
    }

    private static func best(
        _ candidates: [Candidate], for terms: Set<String>, preferring context: Set<String>
    ) -> [Candidate] {
        var frequency: [String: Int] = [:]
        for candidate in candidates {
            for term in candidate.terms where context.contains(term) { frequency[term, default: 0] += 1 }
        }
        // Rare words tell more. A word that stands nowhere counts as much as the rarest one.
        func weight(_ terms: Set<String>) -> Double {
            // Sorted, since a sum of doubles depends on its order and a set has none.
            terms.sorted().reduce(0) { $0 + 1 / Double(frequency[$1] ?? 1).squareRoot() }
        }
        let whole = weight(terms)
        var matches: [Match] = []
        for (offset, candidate) in candidates.enumerated() {
            let share = weight(candidate.terms.intersection(terms)) / whole
            guard share >= threshold else { continue }
            let aside = weight(candidate.terms.intersection(context)) * 0.01
            matches.append(Match(candidate: candidate, offset: offset, share: share, score: share + aside))
        }
        matches.sort { $0.score != $1.score ? $0.score > $1.score : $0.offset < $1.offset }
        guard let top = matches.first else { return [] }
        return matches.prefix(mostQuotations).filter { $0.score >= top.score * 0.75 }.map { $0.candidate }
    }

    private static func quoted(_ found: [Candidate], _ phrases: BuiltinPhrases, opening: String) -> String {
        let quotations = found.map { candidate in
            let text = Sentences.bounded(candidate.text, bytes: quotationLimit)
            let source =
                switch candidate.source {
                case .turn(let sequence): phrases.turn(sequence)
                case .memory(let session, let date): phrases.session(session, date)
                case .summary: phrases.earlier
                }
            return "\(phrases.quotes.open)\(text)\(phrases.quotes.close) \(source)"
        }
        return "\(opening) \(quotations.joined(separator: " "))"
    }
}

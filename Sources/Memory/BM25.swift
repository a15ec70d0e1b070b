/// How well a text's words answer a query: BM25, divided by the most that the query could reach, so 0...1.
import Foundation

struct BM25 {
    private static let saturation = 1.2
    private static let lengthWeight = 0.75

    /// The query's terms with their weights: rare ones weigh more.
    let weights: [(term: String, weight: Double)]
    private let ceiling: Double

    init(terms: [String], statistics: TermStatistics) {
        weights = terms.map { term in
            let frequency = Double(statistics.frequencies[term] ?? 0)
            let rest = Double(statistics.documents) - frequency
            return (term, log(1 + (rest + 0.5) / (frequency + 0.5)))
        }
        ceiling = weights.reduce(0) { $0 + $1.weight } * (Self.saturation + 1)
    }

    /// What one term, occurring `count` times in a text of `length` terms, adds.
    func share(ofTermAt index: Int, count: Int, length: Int, averageLength: Double) -> Double {
        guard ceiling > 0 else { return 0 }
        let norm = 1 - Self.lengthWeight + Self.lengthWeight * Double(length) / max(averageLength, 1)
        let count = Double(count)
        let share = count * (Self.saturation + 1) / (count + Self.saturation * norm)
        return weights[index].weight * share / ceiling
    }

    func relevance(counts: [String: Int], length: Int, averageLength: Double) -> Double {
        var sum = 0.0
        for (index, entry) in weights.enumerated() {
            guard let count = counts[entry.term] else { continue }
            sum += share(ofTermAt: index, count: count, length: length, averageLength: averageLength)
        }
        return min(sum, 1)
    }
}

/// Ranks un-archived turns by their words, weighed with the index's statistics so that both rankings can be merged.
enum FragmentRanking {
    struct Ranked {
        var turn: FragmentTurn
        var relevance: Double
    }

    /// Turns with at least one of the terms, best first; of equals the latest first.
    static func rank(_ turns: [FragmentTurn], terms: [String], statistics: TermStatistics?) -> [Ranked] {
        let texts = turns.map { Tokenizer.terms($0.stored.turn.searchText) }
        let counts = texts.map(Tokenizer.counts)
        var joint = statistics ?? TermStatistics()
        joint.documents += turns.count
        for term in terms {
            joint.frequencies[term, default: 0] += counts.count { $0[term] != nil }
        }
        let ranking = BM25(terms: terms, statistics: joint)
        let average = Double(texts.reduce(0) { $0 + $1.count }) / Double(max(texts.count, 1))
        return zip(turns, zip(texts, counts)).map { turn, words in
            Ranked(
                turn: turn,
                relevance: ranking.relevance(
                    counts: words.1, length: words.0.count, averageLength: average))
        }
        .filter { $0.relevance > 0 }
        .sorted {
            ($0.relevance, $0.turn.stored.turn.finishedAt) > ($1.relevance, $1.turn.stored.turn.finishedAt)
        }
    }
}

extension Turn {
    /// What was said, a line a message: the text that words are searched in.
    var searchText: String {
        messages.filter { !$0.content.isEmpty && $0.role != .system }
            .map { "\($0.role.rawValue): \($0.content)" }
            .joined(separator: "\n")
    }
}

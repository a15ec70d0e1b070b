/// Ranks un-archived turns by their words and passages, weighed with the index's statistics so that both rankings can be merged.

enum FragmentRanking {
    struct Ranked {
        var turn: FragmentTurn
        /// 0...1, as of a row.
        var relevance: Double
        /// As of a row.
        var passage: Double
    }

    /// Turns with at least one of the terms, best first; of equals the latest first.
    static func rank(_ turns: [FragmentTurn], terms: [String], statistics: TermStatistics?) -> [Ranked] {
        let wanted = Set(terms)
        var index = LexicalIndex()
        for turn in turns {
            _ = index.append(
                RowTerms(
                    text: turn.stored.turn.searchText, time: turn.stored.turn.finishedAt, wanted: wanted))
        }
        let joint = index.statistics(of: terms) + (statistics ?? TermStatistics())
        let relevance = index.relevance(of: terms, statistics: joint)
        let found = turns.indices.filter { relevance[$0] > 0 }
        let passages = index.passages(of: found, terms: terms, statistics: joint)
        return zip(found, passages).map { place, passage in
            Ranked(turn: turns[place], relevance: relevance[place], passage: passage)
        }
        .sorted {
            ($0.relevance, $0.turn.stored.turn.finishedAt) > ($1.relevance, $1.turn.stored.turn.finishedAt)
        }
    }
}

extension Turn {
    /// What was said, a line a message: the text that words are searched in. Skills' files are not of it.
    var searchText: String {
        messages.filter { !$0.content.isEmpty && $0.role != .system && $0.skillText == nil }
            .map { "\($0.role.rawValue): \($0.content)" }
            .joined(separator: "\n")
    }
}

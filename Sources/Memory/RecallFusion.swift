/// Merges what words, passages and vectors found into one ranking: each ranking's scores as parts of its best one, summed.

struct RecallFusion {
    /// What the vectors say beside the words and beside the passages. On long conversations words find more than summaries'
    /// vectors do, and ranks (reciprocal rank fusion) let a weak vector outvote a strong match.
    private static let vectorWeight = 0.5
    /// A text found by words alone, which fits less than this part of the best one by all its words, and with its passages no
    /// better, is noise.
    private static let noise = 0.2

    var minScore: Double
    var topK: Int
    /// False where the index was asked by words alone.
    var byVector: Bool

    /// Best first.
    func best(_ hits: [IndexHit]) -> [IndexHit] {
        order(hits, []).map { hits[$0.place] }
    }

    /// Best first, scores 0...1. The hits' texts are passages already, and `fragments` are ranked.
    func merge(_ hits: [IndexHit], _ fragments: [FragmentRanking.Ranked]) -> [RecalledMemory] {
        order(hits, fragments).map { place, score in
            place < hits.count
                ? hits[place].row.recalled(score: score)
                : fragments[place - hits.count].turn.recalled(score: score)
        }
    }

    /// Places among the hits and, after them, the fragments; the best ones with their scores, best first. A fragment has no
    /// vector: its words stand for both.
    private func order(
        _ hits: [IndexHit], _ fragments: [FragmentRanking.Ranked]
    ) -> [(place: Int, score: Double)] {
        let mostRelevant = max(
            hits.lazy.compactMap(\.relevance).max() ?? 0, fragments.lazy.map(\.relevance).max() ?? 0)
        let bestPassage = max(
            hits.lazy.compactMap(\.passage).max() ?? 0, fragments.lazy.map(\.passage).max() ?? 0)
        let mostSimilar = hits.lazy.compactMap(\.similarity).max() ?? 0
        let part = { (value: Double, best: Double) in best > 0 ? value / best : 0 }
        let words = { (relevance: Double, passage: Double) -> (score: Double, isNoise: Bool) in
            let byRow = part(relevance, mostRelevant)
            // A query of common words alone finds no passage.
            let score = bestPassage > 0 ? (byRow + part(passage, bestPassage)) / 2 : byRow
            return (score, max(byRow, score) <= Self.noise)
        }
        var ranked: [(place: Int, score: Double)] = []
        ranked.reserveCapacity(hits.count + fragments.count)
        for (place, hit) in hits.enumerated() {
            let byWords = words(hit.relevance ?? 0, hit.passage ?? 0)
            let similarity = max(hit.similarity ?? 0, 0)
            let isNear = byVector && similarity > 0 && similarity >= minScore
            guard isNear || !byWords.isNoise else { continue }
            let bySimilarity = part(similarity, mostSimilar)
            let score =
                byVector
                ? (2 * byWords.score + Self.vectorWeight * bySimilarity) / (2 + Self.vectorWeight)
                : byWords.score
            ranked.append((place, score))
        }
        for (index, fragment) in fragments.enumerated() {
            let byWords = words(fragment.relevance, fragment.passage)
            if !byWords.isNoise { ranked.append((hits.count + index, byWords.score)) }
        }
        ranked.sort { left, right in
            guard left.score == right.score else { return left.score > right.score }
            let times = (time(left.place, hits, fragments), time(right.place, hits, fragments))
            guard times.0 == times.1 else { return times.0 > times.1 }
            // The order in which an index gives its rows decides nothing.
            guard left.place < hits.count, right.place < hits.count else { return left.place < right.place }
            return hits[left.place].row.id < hits[right.place].row.id
        }
        ranked.removeLast(max(0, ranked.count - topK))
        return ranked
    }

    private func time(_ place: Int, _ hits: [IndexHit], _ fragments: [FragmentRanking.Ranked]) -> Int64 {
        place < hits.count
            ? hits[place].row.time : fragments[place - hits.count].turn.stored.turn.finishedAt
    }
}

extension MemoryRow {
    fileprivate func recalled(score: Double) -> RecalledMemory {
        RecalledMemory(
            id: id, kind: .summary, session: scope.sessionID, agent: agent, firstTurn: firstTurn,
            lastTurn: lastTurn, time: time, text: summary, excerpt: text, entities: entities, score: score)
    }
}

extension FragmentTurn {
    /// Characters of a fragment's text that an answer shows.
    private static var shownCharacters: Int { 4000 }

    fileprivate func recalled(score: Double) -> RecalledMemory {
        RecalledMemory(
            id: "fragment-\(session)-\(stored.sequence)", kind: .fragment, session: sessionID,
            agent: stored.turn.agent, firstTurn: stored.sequence, lastTurn: stored.sequence,
            time: stored.turn.finishedAt, text: String(stored.turn.searchText.prefix(Self.shownCharacters)),
            excerpt: "", entities: [], score: score)
    }
}

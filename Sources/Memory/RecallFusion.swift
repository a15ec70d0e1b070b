/// Merges what vectors, words and fragments found into one ranking: each ranking's scores as parts of its best one, summed.

struct RecallFusion {
    /// What the vectors say beside the words. On long conversations words find more than summaries' vectors do, and
    /// ranks (reciprocal rank fusion) let a weak vector outvote a strong match.
    private static let vectorWeight = 0.5
    /// A text found by words alone, with less than this part of the best one's relevance, is noise.
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
        let mostRelevant = max(hits.lazy.compactMap(\.relevance).max() ?? 0, fragments.first?.relevance ?? 0)
        let mostSimilar = hits.lazy.compactMap(\.similarity).max() ?? 0
        let floor = mostRelevant * Self.noise
        let words = { (relevance: Double) in relevance > floor ? relevance / mostRelevant : 0 }
        var ranked: [(place: Int, score: Double)] = []
        ranked.reserveCapacity(hits.count + fragments.count)
        for (place, hit) in hits.enumerated() {
            let byWords = words(hit.relevance ?? 0)
            let similarity = hit.similarity ?? 0
            let isNear = similarity > 0 && (similarity >= minScore || byWords > 0)
            let bySimilarity = isNear ? similarity / mostSimilar : 0
            let score =
                byVector
                ? (byWords + Self.vectorWeight * bySimilarity) / (1 + Self.vectorWeight) : byWords
            if score > 0 { ranked.append((place, score)) }
        }
        for (index, fragment) in fragments.enumerated() {
            let score = words(fragment.relevance)
            if score > 0 { ranked.append((hits.count + index, score)) }
        }
        ranked.sort { left, right in
            left.score != right.score
                ? left.score > right.score
                : time(left.place, hits, fragments) > time(right.place, hits, fragments)
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

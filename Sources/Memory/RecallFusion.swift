/// Merges what vectors, words and fragments found into one ranking: reciprocal ranks, so that no two scales are compared.

struct RecallFusion {
    /// Damps the first ranks; the usual constant of reciprocal rank fusion.
    private static let damping = 60.0
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
    /// vector: its rank by words stands for both.
    private func order(
        _ hits: [IndexHit], _ fragments: [FragmentRanking.Ranked]
    ) -> [(place: Int, score: Double)] {
        var relevance = hits.map { $0.relevance ?? 0 }
        relevance.append(contentsOf: fragments.lazy.map(\.relevance))
        let floor = (relevance.max() ?? 0) * Self.noise
        let byWords = Self.shares(of: relevance) { $0 > floor }
        let bySimilarity =
            byVector ? Self.shares(of: similarities(hits, relevance, floor: floor)) { $0 > -2 } : []
        var ranked: [(place: Int, score: Double)] = []
        ranked.reserveCapacity(relevance.count)
        for place in relevance.indices {
            let words = byWords[place]
            let score: Double
            if !byVector || place >= hits.count {
                score = words
            } else {
                score = (words + bySimilarity[place]) / 2
            }
            if score > 0 { ranked.append((place, score)) }
        }
        ranked.sort { left, right in
            left.score != right.score
                ? left.score > right.score
                : time(left.place, hits, fragments) > time(right.place, hits, fragments)
        }
        ranked.removeLast(max(0, ranked.count - topK))
        return ranked
    }

    /// Of each hit; -2 where neither its vector nor its words are near enough to count.
    private func similarities(_ hits: [IndexHit], _ relevance: [Double], floor: Double) -> [Double] {
        hits.indices.map { place in
            guard let similarity = hits[place].similarity, similarity >= minScore || relevance[place] > floor
            else { return -2 }
            return similarity
        }
    }

    private func time(_ place: Int, _ hits: [IndexHit], _ fragments: [FragmentRanking.Ranked]) -> Int64 {
        place < hits.count
            ? hits[place].row.time : fragments[place - hits.count].turn.stored.turn.finishedAt
    }

    /// What each value's rank is worth: 1 for the first, 0 for one that doesn't count. Equals share a rank, or their order by
    /// chance would count.
    private static func shares(of values: [Double], where counts: (Double) -> Bool) -> [Double] {
        var shares = [Double](repeating: 0, count: values.count)
        var (rank, previous) = (0, Double.infinity)
        let places = values.indices.filter { counts(values[$0]) }.sorted { values[$0] > values[$1] }
        for (index, place) in places.enumerated() {
            if previous - values[place] > 1e-6 { rank = index }
            previous = values[place]
            shares[place] = (damping + 1) / (damping + 1 + Double(rank))
        }
        return shares
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

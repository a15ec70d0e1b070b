/// Merges what vectors, words and fragments found into one ranking: reciprocal ranks, so that no two scales are compared.

struct RecallFusion {
    /// Damps the first ranks; the usual constant of reciprocal rank fusion.
    private static let damping = 60.0
    /// A text found by words alone, with less than this part of the best one's relevance, is noise.
    private static let noise = 0.2

    var minScore: Double
    var topK: Int

    /// Best first, scores 0...1. `fragments` are ranked already. A fragment has no vector: its rank by words stands
    /// for both.
    func merge(_ hits: [IndexHit], _ fragments: [FragmentRanking.Ranked], byVector: Bool, terms: [String])
        -> [RecalledMemory]
    {
        let best = max(hits.compactMap(\.relevance).max() ?? 0, fragments.first?.relevance ?? 0)
        let floor = best * Self.noise
        let similar = { (hit: IndexHit) in (hit.similarity ?? -1) >= minScore }
        let rows = hits.filter { similar($0) || ($0.relevance ?? 0) > floor }
        let fragments = fragments.filter { $0.relevance > floor }

        var byWords: [(Source, Double)] = rows.enumerated().compactMap { index, hit in
            hit.relevance.flatMap { $0 > floor ? (.row(index), $0) : nil }
        }
        byWords += fragments.enumerated().map { (.fragment($0), $1.relevance) }
        var scores = Self.shares(byWords).mapValues { byVector ? $0 / 2 : $0 }
        if byVector {
            for index in fragments.indices { scores[.fragment(index), default: 0] *= 2 }
            let bySimilarity = rows.enumerated().compactMap { index, hit in
                hit.similarity.map { (Source.row(index), $0) }
            }
            for (source, share) in Self.shares(bySimilarity) { scores[source, default: 0] += share / 2 }
        }
        let time = { (source: Source) in
            switch source {
            case .row(let index): rows[index].row.time
            case .fragment(let index): fragments[index].turn.stored.turn.finishedAt
            }
        }
        return scores.sorted { ($0.value, time($0.key)) > ($1.value, time($1.key)) }.prefix(topK)
            .map { source, score in
                switch source {
                case .row(let index): rows[index].row.recalled(score: score, terms: terms)
                case .fragment(let index): fragments[index].turn.recalled(score: score)
                }
            }
    }

    private enum Source: Hashable {
        case row(Int)
        case fragment(Int)
    }

    /// What each one's rank is worth: 1 for the first. Equals share a rank, or their order by chance would count.
    private static func shares(_ ranking: [(source: Source, value: Double)]) -> [Source: Double] {
        var shares: [Source: Double] = [:]
        var (rank, previous) = (0, Double.infinity)
        for (place, entry) in ranking.sorted(by: { $0.value > $1.value }).enumerated() {
            if previous - entry.value > 1e-6 { rank = place }
            previous = entry.value
            shares[entry.source] = (damping + 1) / (damping + 1 + Double(rank))
        }
        return shares
    }
}

extension MemoryRow {
    fileprivate func recalled(score: Double, terms: [String]) -> RecalledMemory {
        RecalledMemory(
            id: id, kind: .summary, session: scope.sessionID, agent: agent, firstTurn: firstTurn,
            lastTurn: lastTurn, time: time, text: summary, excerpt: Passage.best(of: text, terms: terms),
            entities: entities, score: score)
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

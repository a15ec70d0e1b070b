/// How well a row's best passages answer a query: what a long row says in one place weighs, not only what it says in all.

/// A term of a query where it stands in a row.
struct TermOccurrence {
    /// The term's place in the query.
    var term: Int
    var place: TermPlace
}

/// Passages weigh a term by how few lines it was said in. A day's words are said in none, so a day that is asked for weighs
/// much.
struct PassageRanking {
    /// What the second best passage adds to the best one.
    private static let secondWeight = 0.5

    private let ranking: BM25
    /// Of the passage that is looked at, how often each term occurs.
    private var counts: [Int]

    init(terms: [String], statistics: TermStatistics) {
        ranking = BM25(
            frequencies: terms.map { statistics.lineFrequencies[$0] ?? 0 }, documents: statistics.lines,
            averageLength: Double(statistics.passageTerms) / Double(max(statistics.passages, 1)))
        counts = [Int](repeating: 0, count: terms.count)
    }

    /// 0...1.5; zero where no passage has one of the terms.
    mutating func score(_ shape: RowShape, _ occurrences: [TermOccurrence]) -> Double {
        let day = occurrences.filter { $0.place.line == TermPlace.day }
        let said = occurrences.filter { $0.place.line < shape.lengths.count }
            .sorted { $0.place.line < $1.place.line }
        guard !day.isEmpty || !said.isEmpty else { return 0 }
        var (best, second) = (0.0, 0.0)
        var first = 0
        for passage in 0..<shape.passages {
            let lines = shape.lines(ofPassage: passage)
            while first < said.count, said[first].place.line < lines.lowerBound { first += 1 }
            var end = first
            while end < said.count, said[end].place.line < lines.upperBound { end += 1 }
            if end == first, day.isEmpty { continue }
            let score = score(said[first..<end], day, length: shape.length(ofPassage: passage))
            if score > best {
                (best, second) = (score, best)
            } else if score > second {
                second = score
            }
        }
        return best + Self.secondWeight * second
    }

    private mutating func score(
        _ said: ArraySlice<TermOccurrence>, _ day: [TermOccurrence], length: Int
    ) -> Double {
        for occurrence in said { counts[occurrence.term] += Int(occurrence.place.count) }
        for occurrence in day { counts[occurrence.term] += Int(occurrence.place.count) }
        let norm = ranking.norm(length: length)
        var sum = 0.0
        for term in counts.indices where counts[term] > 0 {
            sum += ranking.share(ofTermAt: term, count: counts[term], norm: norm)
            counts[term] = 0
        }
        return sum
    }
}

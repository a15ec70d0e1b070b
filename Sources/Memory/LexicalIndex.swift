/// The words of many rows in memory: which rows have a query's terms, how well they answer it, and how well their best
/// passages do.

struct LexicalIndex {
    /// A term in one line of a row.
    private struct Posting {
        var row: Int32
        var place: TermPlace
    }

    /// Rows ascending, and of each row lines ascending.
    private struct Postings {
        var all: [Posting] = []
        /// Rows that have the term.
        var rows = 0
        /// Lines that were said with it.
        var lines = 0

        /// Returns what it takes in memory, roughly.
        mutating func add(_ places: some Collection<TermPlace>, of row: Int, _ shape: RowShape) -> Int {
            // An array has room for half as much again as it holds, on the average; a new term has a place in the table.
            let taken = MemoryLayout<Posting>.stride * places.count * 3 / 2 + (all.isEmpty ? 96 : 0)
            if all.last.map({ Int($0.row) != row }) ?? true { rows += 1 }
            for place in places {
                all.append(Posting(row: Int32(row), place: place))
                if place.isSaid(in: shape) { lines += 1 }
            }
            return taken
        }

        func of(_ row: Int) -> ArraySlice<Posting> {
            var (low, high) = (0, all.count)
            while low < high {
                let middle = (low + high) / 2
                if Int(all[middle].row) < row { low = middle + 1 } else { high = middle }
            }
            var end = low
            while end < all.count, Int(all[end].row) == row { end += 1 }
            return all[low..<end]
        }
    }

    private var postings: [String: Postings] = [:]
    private var shapes: [RowShape] = []
    /// Terms in each row.
    private var lengths: [Int] = []
    /// Of the rows, but no term's frequencies.
    private var totals = TermStatistics()
    private var terms = 0
    /// What it takes in memory, roughly.
    private(set) var bytes = 0

    /// Returns the row's place.
    mutating func append(_ shape: RowShape, length: Int) -> Int {
        shapes.append(shape)
        lengths.append(length)
        terms += length
        totals.documents += 1
        totals.lines += shape.said
        totals.passages += shape.passages
        totals.passageTerms += shape.passageTerms
        bytes += shape.lengths.count * MemoryLayout<UInt16>.stride + MemoryLayout<RowShape>.stride
        return shapes.count - 1
    }

    /// Returns the row's place.
    mutating func append(_ row: RowTerms) -> Int {
        let place = append(row.shape, length: row.length)
        for (term, line) in row.places { note(term, line, of: place) }
        return place
    }

    /// - Parameter row: none before the one that was noted last.
    mutating func note(_ term: String, _ place: TermPlace, of row: Int) {
        note(term, CollectionOfOne(place), of: row)
    }

    /// - Parameter places: in ascending order.
    mutating func note(_ term: String, _ places: some Collection<TermPlace>, of row: Int) {
        let shape = shapes[row]
        bytes += postings[term, default: Postings()].add(places, of: row, shape)
    }

    /// How common the query's terms are among the rows.
    func statistics(of terms: [String]) -> TermStatistics {
        var statistics = totals
        for term in terms {
            let found = postings[term]
            statistics.frequencies[term] = found?.rows ?? 0
            statistics.lineFrequencies[term] = found?.lines ?? 0
        }
        return statistics
    }

    /// Of each row, 0...1.
    func relevance(of terms: [String], statistics: TermStatistics) -> [Double] {
        var relevance = [Double](repeating: 0, count: shapes.count)
        let ranking = BM25(
            terms: terms, statistics: statistics,
            averageLength: Double(self.terms) / Double(max(shapes.count, 1)))
        for (index, term) in terms.enumerated() {
            guard let found = postings[term]?.all else { continue }
            var next = 0
            while next < found.count {
                let row = Int(found[next].row)
                var count = 0
                while next < found.count, Int(found[next].row) == row {
                    count += Int(found[next].place.count)
                    next += 1
                }
                relevance[row] += ranking.share(
                    ofTermAt: index, count: count, norm: ranking.norm(length: lengths[row]))
            }
        }
        return relevance
    }

    /// How well the best passages of some rows answer the query.
    func passages(of rows: [Int], terms: [String], statistics: TermStatistics) -> [Double] {
        var ranking = PassageRanking(terms: terms, statistics: statistics)
        let found = terms.map { postings[$0] ?? Postings() }
        var occurrences: [TermOccurrence] = []
        return rows.map { row in
            occurrences.removeAll(keepingCapacity: true)
            for (term, postings) in found.enumerated() {
                for posting in postings.of(row) {
                    occurrences.append(TermOccurrence(term: term, place: posting.place))
                }
            }
            return ranking.score(shapes[row], occurrences)
        }
    }

    /// The rows that fit best by words and those nearest by vector, with what is known of each of them.
    ///
    /// - Parameters:
    ///   - rows: in the order of their places.
    ///   - nearest: places of the rows that the vector found.
    ///   - similarity: of the row at a place to the query's vector, where it is known.
    func answer(
        _ rows: [MemoryRow], to terms: [String], limit: Int, nearest: [Int], similarity: (Int) -> Double?
    ) -> IndexAnswer {
        let statistics = statistics(of: terms)
        let relevance = relevance(of: terms, statistics: statistics)
        var best = BestFew<Int>(limit)
        for place in rows.indices where relevance[place] > 0 { best.offer(place, relevance[place]) }
        let worded = best.entries.map(\.item)
        let candidates = worded + nearest.filter { !worded.contains($0) }
        let passages = passages(of: candidates, terms: terms, statistics: statistics)
        let hits = zip(candidates, passages).map { place, passage in
            let isWorded = relevance[place] > 0
            return IndexHit(
                row: rows[place], similarity: similarity(place),
                relevance: isWorded ? relevance[place] : nil, passage: isWorded ? passage : nil)
        }
        return IndexAnswer(hits: hits, statistics: statistics)
    }
}

/// One principal's archived memories in L1, searched there without a store: by vector, and by words with BM25.
struct ResidentMemories {
    private struct Posting {
        var place: Int32
        var count: Int32
    }

    private let dimension: Int
    private var rows: [MemoryRow] = []
    /// Of each row `dimension` floats.
    private var vectors: [Float] = []
    /// Terms in each row.
    private var lengths: [Int] = []
    private var postings: [String: [Posting]] = [:]
    private var terms = 0
    /// What it takes in memory, roughly.
    private(set) var bytes = 0

    init(dimension: Int) {
        self.dimension = dimension
    }

    /// What so many rows with so many terms in all of them would take.
    static func estimatedBytes(rows: Int, terms: Int, dimension: Int) -> Int {
        // A term is some seven letters of the text, and a posting where it isn't repeated.
        rows * (overhead + dimension * MemoryLayout<Float>.stride) + terms * 24
    }

    private static let overhead = 512

    func contains(_ id: String) -> Bool { rows.contains { $0.id == id } }

    /// Returns the row's place, or nil where the vector has another dimension.
    mutating func append(_ row: MemoryRow, vector: UnsafeRawBufferPointer, length: Int) -> Int? {
        guard vector.count == dimension * MemoryLayout<Float>.stride else { return nil }
        rows.append(row)
        for offset in stride(from: 0, to: vector.count, by: MemoryLayout<Float>.stride) {
            vectors.append(vector.loadUnaligned(fromByteOffset: offset, as: Float.self))
        }
        lengths.append(length)
        terms += length
        bytes += Self.overhead + vector.count + row.text.utf8.count + row.summary.utf8.count
        return rows.count - 1
    }

    mutating func note(_ term: String, count: Int, at place: Int) {
        postings[term, default: []].append(Posting(place: Int32(place), count: Int32(clamping: count)))
        bytes += MemoryLayout<Posting>.stride * 2
    }

    func search(_ query: IndexQuery) -> IndexAnswer {
        let similar = query.vector.map { mostSimilar(to: $0, limit: query.limit) } ?? []
        let (relevant, statistics) = mostRelevant(to: query.terms, limit: query.limit)
        var hits: [IndexHit] = []
        hits.reserveCapacity(similar.count + relevant.count)
        for (place, similarity) in similar {
            let relevance = relevant.first { $0.item == place }?.value
            hits.append(IndexHit(row: rows[place], similarity: similarity, relevance: relevance))
        }
        for (place, relevance) in relevant where !similar.contains(where: { $0.item == place }) {
            hits.append(IndexHit(row: rows[place], similarity: nil, relevance: relevance))
        }
        return IndexAnswer(hits: hits, statistics: statistics)
    }

    private func mostSimilar(to query: [Float], limit: Int) -> [(item: Int, value: Double)] {
        var best = BestFew<Int>(limit)
        let stride = dimension * MemoryLayout<Float>.stride
        query.withUnsafeBytes { query in
            vectors.withUnsafeBytes { all in
                for place in rows.indices {
                    let vector = UnsafeRawBufferPointer(rebasing: all[place * stride..<(place + 1) * stride])
                    let similarity = Double(VectorMath.dot(query, vector))
                    if similarity > 0 { best.offer(place, similarity) }
                }
            }
        }
        return best.entries
    }

    private func mostRelevant(
        to terms: [String], limit: Int
    ) -> ([(item: Int, value: Double)], TermStatistics) {
        let found = terms.map { postings[$0] ?? [] }
        var statistics = TermStatistics(documents: rows.count)
        for (term, postings) in zip(terms, found) { statistics.frequencies[term] = postings.count }
        let ranking = BM25(terms: terms, statistics: statistics)
        let averageLength = Double(self.terms) / Double(max(rows.count, 1))
        var relevance = [Double](repeating: 0, count: rows.count)
        for (index, postings) in found.enumerated() {
            for posting in postings {
                let place = Int(posting.place)
                relevance[place] += ranking.share(
                    ofTermAt: index, count: Int(posting.count), length: lengths[place],
                    averageLength: averageLength)
            }
        }
        var best = BestFew<Int>(limit)
        for place in rows.indices where relevance[place] > 0 { best.offer(place, min(relevance[place], 1)) }
        return (best.entries, statistics)
    }
}

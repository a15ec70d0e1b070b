/// One principal's archived memories in L1, searched there without a store: by vector and by words.
struct ResidentMemories {
    private let dimension: Int
    private var rows: [MemoryRow] = []
    /// Of each row `dimension` floats.
    private var vectors: [Float] = []
    private var index = LexicalIndex()
    private var rowBytes = 0
    /// What it takes in memory, roughly.
    var bytes: Int { rowBytes + index.bytes }

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

    /// Returns the row's place, or nil where the vector has another dimension. Its terms are to be noted.
    mutating func append(_ row: MemoryRow, vector: UnsafeRawBufferPointer, shape: RowShape, length: Int)
        -> Int?
    {
        guard keep(row, vector: vector) else { return nil }
        return index.append(shape, length: length)
    }

    /// False where the vector has another dimension.
    mutating func append(_ row: MemoryRow, vector: UnsafeRawBufferPointer, terms: RowTerms) -> Bool {
        guard keep(row, vector: vector) else { return false }
        _ = index.append(terms)
        return true
    }

    private mutating func keep(_ row: MemoryRow, vector: UnsafeRawBufferPointer) -> Bool {
        guard vector.count == dimension * MemoryLayout<Float>.stride else { return false }
        rows.append(row)
        for offset in stride(from: 0, to: vector.count, by: MemoryLayout<Float>.stride) {
            vectors.append(vector.loadUnaligned(fromByteOffset: offset, as: Float.self))
        }
        rowBytes += Self.overhead + vector.count + row.text.utf8.count + row.summary.utf8.count
        return true
    }

    mutating func note(_ term: String, _ places: some Collection<TermPlace>, at place: Int) {
        index.note(term, places, of: place)
    }

    func search(_ query: IndexQuery) -> IndexAnswer {
        let nearest = query.vector.map { mostSimilar(to: $0, limit: query.limit) } ?? []
        return index.answer(rows, to: query.terms, limit: query.limit, nearest: nearest) { place in
            query.vector.map { similarity(of: place, to: $0) }.flatMap { $0 > 0 ? $0 : nil }
        }
    }

    private func mostSimilar(to query: [Float], limit: Int) -> [Int] {
        var best = BestFew<Int>(limit)
        for place in rows.indices {
            let similarity = similarity(of: place, to: query)
            if similarity > 0 { best.offer(place, similarity) }
        }
        return best.entries.map(\.item)
    }

    private func similarity(of place: Int, to query: [Float]) -> Double {
        let stride = dimension * MemoryLayout<Float>.stride
        return query.withUnsafeBytes { query in
            vectors.withUnsafeBytes { all in
                let vector = UnsafeRawBufferPointer(rebasing: all[place * stride..<(place + 1) * stride])
                return Double(VectorMath.dot(query, vector))
            }
        }
    }
}

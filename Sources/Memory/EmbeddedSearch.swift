/// Searches the embedded index on disk, where a principal has more memories than L1 takes, and reads those that it takes.
import Foundation
import GRDB

/// The rows of one principal.
struct EmbeddedSearch {
    var db: Database
    var scope: Scope
    var principal: Int64

    /// Nil where nothing was ever stored for the scope's principal.
    init?(_ db: Database, _ scope: Scope) throws {
        guard let principal = try PrincipalRecord.find(db, scope.principal) else { return nil }
        self.db = db
        self.scope = scope
        self.principal = principal.id
    }

    /// How many rows there are, and the terms in all of them.
    func totals() throws -> (rows: Int, terms: Int) {
        let statement = try db.cachedStatement(
            sql: "SELECT COUNT(*), CAST(TOTAL(length) AS INTEGER) FROM memory_row WHERE principal = ?")
        return try Row.fetchOne(statement, arguments: [principal]).map { ($0[0], $0[1]) } ?? (0, 0)
    }

    func answer(_ query: IndexQuery, totals: (rows: Int, terms: Int)) throws -> IndexAnswer {
        let similar = try query.vector.map { try self.similar(to: $0, limit: query.limit) } ?? [:]
        let (relevant, statistics) = try self.relevant(to: query.terms, limit: query.limit, totals: totals)
        let hits = try Set(similar.keys).union(relevant.keys).compactMap { number in
            try row(number).map {
                IndexHit(row: $0, similarity: similar[number], relevance: relevant[number])
            }
        }
        return IndexAnswer(hits: hits, statistics: statistics)
    }

    /// The most similar rows by number, with their cosine similarity.
    private func similar(to query: [Float], limit: Int) throws -> [Int64: Double] {
        let statement = try db.cachedStatement(
            sql: "SELECT number, vector FROM memory_vector WHERE principal = ?")
        var found = BestFew<Int64>(limit)
        let cursor = try Row.fetchCursor(statement, arguments: [principal])
        while let row = try cursor.next() {
            let similarity = try row.withUnsafeData(atIndex: 1) { vector in
                Double(VectorMath.dot(query, vector ?? Data()))
            }
            if similarity > 0 { found.offer(row[0], similarity) }
        }
        return Dictionary(uniqueKeysWithValues: found.entries.map { ($0.item, $0.value) })
    }

    /// The rows whose words fit best by number, with their relevance; and how common each term is among all.
    private func relevant(
        to terms: [String], limit: Int, totals: (rows: Int, terms: Int)
    ) throws -> ([Int64: Double], TermStatistics) {
        // Each posting has its row's length, so the rows themselves are not looked at.
        let postings = try db.cachedStatement(
            sql: "SELECT number, count, length FROM memory_term WHERE principal = ? AND term = ?")
        var statistics = TermStatistics(documents: totals.rows)
        let found = try terms.map { term in
            var rows: [(number: Int64, count: Int, length: Int)] = []
            // A cursor reads every row into the same place.
            let cursor = try Row.fetchCursor(postings, arguments: [principal, term])
            while let row = try cursor.next() { rows.append((row[0], row[1], row[2])) }
            statistics.frequencies[term] = rows.count
            return rows
        }
        let ranking = BM25(terms: terms, statistics: statistics)
        let averageLength = Double(totals.terms) / Double(max(totals.rows, 1))
        var relevance: [Int64: Double] = [:]
        for (index, rows) in found.enumerated() {
            for row in rows {
                relevance[row.number, default: 0] += ranking.share(
                    ofTermAt: index, count: row.count, length: row.length, averageLength: averageLength)
            }
        }
        var best = BestFew<Int64>(limit)
        for (number, relevance) in relevance { best.offer(number, min(relevance, 1)) }
        return (Dictionary(uniqueKeysWithValues: best.entries.map { ($0.item, $0.value) }), statistics)
    }

    private func row(_ number: Int64) throws -> MemoryRow? {
        let statement = try db.cachedStatement(
            sql: "SELECT \(Self.columns) FROM memory_row WHERE number = ? AND principal = ?")
        // A cursor's row is read in place, where a fetched one would be a copy of all its texts. It lives as long as the
        // cursor does.
        let cursor = try Row.fetchCursor(statement, arguments: [number, principal])
        return try withExtendedLifetime(cursor) { try cursor.next().flatMap(memoryRow) }
    }

    private static let columns = """
        number, length, id, session, session_name, generation, agent, first_turn, last_turn, time, summary, entities,
        text
        """

    private func memoryRow(_ row: Row) throws -> MemoryRow? {
        guard let session = Digest128(bytes: row[3] as Data) else { return nil }
        return MemoryRow(
            id: row[2], scope: Scope(principal: scope.principal, session: session, sessionID: row[4]),
            generation: row[5], agent: row[6], firstTurn: row[7], lastTurn: row[8], time: row[9],
            summary: row[10], entities: TurnCoding.decodeTexts(row[11]), text: row[12])
    }

    /// All rows with their vectors and terms.
    func resident(dimension: Int) throws -> ResidentMemories {
        var memories = ResidentMemories(dimension: dimension)
        var places: [Int64: Int] = [:]
        let rows = try Row.fetchCursor(
            db.cachedStatement(
                sql: """
                    SELECT \(Self.columns), vector FROM memory_row JOIN memory_vector USING (number)
                    WHERE memory_row.principal = ? ORDER BY number
                    """), arguments: [principal])
        while let row = try rows.next() {
            guard let memory = try memoryRow(row) else { continue }
            try row.withUnsafeData(atIndex: 13) { vector in
                guard let vector else { return }
                places[row[0]] = vector.withUnsafeBytes {
                    memories.append(memory, vector: $0, length: row[1])
                }
            }
        }
        let terms = try Row.fetchCursor(
            db.cachedStatement(
                sql: "SELECT term, number, count FROM memory_term WHERE principal = ? ORDER BY term"),
            arguments: [principal])
        while let row = try terms.next() {
            if let place = places[row[1]] { memories.note(row[0], count: row[2], at: place) }
        }
        return memories
    }
}

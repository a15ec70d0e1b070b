/// Searches the embedded index on disk, where a principal has more memories than L1 takes, and reads those that it takes.
import Foundation
import GRDB

/// The rows of one principal.
struct EmbeddedSearch {
    /// What all rows hold together.
    struct Totals {
        var rows = 0
        var terms = 0
        var lines = 0
        var passages = 0
        var passageTerms = 0

        /// Without the frequencies of terms.
        var statistics: TermStatistics {
            var statistics = TermStatistics(documents: rows)
            statistics.lines = lines
            statistics.passages = passages
            statistics.passageTerms = passageTerms
            return statistics
        }
    }

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

    func totals() throws -> Totals {
        let statement = try db.cachedStatement(
            sql: """
                SELECT COUNT(*), CAST(TOTAL(length) AS INTEGER), CAST(TOTAL(lines) AS INTEGER),
                    CAST(TOTAL(passages) AS INTEGER), CAST(TOTAL(passage_terms) AS INTEGER)
                FROM memory_row WHERE principal = ?
                """)
        return try Row.fetchOne(statement, arguments: [principal])
            .map { Totals(rows: $0[0], terms: $0[1], lines: $0[2], passages: $0[3], passageTerms: $0[4]) }
            ?? Totals()
    }

    func answer(_ query: IndexQuery, totals: Totals) throws -> IndexAnswer {
        let nearest = try query.vector.map { try self.nearest(to: $0, limit: query.limit) } ?? []
        let (relevance, statistics) = try self.relevance(of: query.terms, totals: totals)
        var best = BestFew<Int64>(query.limit)
        for (number, relevance) in relevance { best.offer(number, relevance) }
        let worded = best.entries.map(\.item)
        var ranking = PassageRanking(terms: query.terms, statistics: statistics)
        let hits = try (worded + nearest.filter { !worded.contains($0) }).compactMap { number in
            try row(number).map { row, shape in
                let occurrences = try self.occurrences(of: query.terms, in: number)
                return IndexHit(
                    row: row, similarity: try query.vector.flatMap { try similarity(of: number, to: $0) },
                    relevance: relevance[number],
                    passage: occurrences.isEmpty ? nil : ranking.score(shape, occurrences))
            }
        }
        return IndexAnswer(hits: hits, statistics: statistics)
    }

    /// Numbers of the most similar rows.
    private func nearest(to query: [Float], limit: Int) throws -> [Int64] {
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
        return found.entries.map(\.item)
    }

    /// Nil where it is not above zero.
    private func similarity(of number: Int64, to query: [Float]) throws -> Double? {
        let statement = try db.cachedStatement(
            sql: "SELECT vector FROM memory_vector WHERE number = ? AND principal = ?")
        let vector = try Data.fetchOne(statement, arguments: [number, principal]) ?? Data()
        let similarity = Double(VectorMath.dot(query, vector))
        return similarity > 0 ? similarity : nil
    }

    /// Of each row with one of the terms, by number; and how common each term is among all.
    private func relevance(of terms: [String], totals: Totals) throws -> ([Int64: Double], TermStatistics) {
        // Each posting has its row's length, so the rows themselves are not looked at.
        let postings = try db.cachedStatement(
            sql: "SELECT number, count, length, lines FROM memory_term WHERE principal = ? AND term = ?")
        var statistics = totals.statistics
        let found = try terms.map { term in
            var rows: [(number: Int64, count: Int, length: Int)] = []
            var lines = 0
            // A cursor reads every row into the same place.
            let cursor = try Row.fetchCursor(postings, arguments: [principal, term])
            while let row = try cursor.next() {
                rows.append((row[0], row[1], row[2]))
                lines += row[3] as Int
            }
            statistics.frequencies[term] = rows.count
            statistics.lineFrequencies[term] = lines
            return rows
        }
        let ranking = BM25(
            terms: terms, statistics: statistics,
            averageLength: Double(totals.terms) / Double(max(totals.rows, 1)))
        var relevance: [Int64: Double] = [:]
        for (index, rows) in found.enumerated() {
            for row in rows {
                relevance[row.number, default: 0] += ranking.share(
                    ofTermAt: index, count: row.count, norm: ranking.norm(length: row.length))
            }
        }
        return (relevance, statistics)
    }

    private func occurrences(of terms: [String], in number: Int64) throws -> [TermOccurrence] {
        let statement = try db.cachedStatement(
            sql: "SELECT places FROM memory_term WHERE principal = ? AND term = ? AND number = ?")
        return try terms.enumerated().flatMap { index, term in
            let places = try Data.fetchOne(statement, arguments: [principal, term, number]) ?? Data()
            return places.withUnsafeBytes { bytes in
                TermPlace.places(blob: bytes).map { TermOccurrence(term: index, place: $0) }
            }
        }
    }

    private func row(_ number: Int64) throws -> (MemoryRow, RowShape)? {
        let statement = try db.cachedStatement(
            sql: "SELECT \(Self.columns) FROM memory_row WHERE number = ? AND principal = ?")
        // A cursor's row is read in place, where a fetched one would be a copy of all its texts. It lives as long as the
        // cursor does.
        let cursor = try Row.fetchCursor(statement, arguments: [number, principal])
        return try withExtendedLifetime(cursor) { try cursor.next().flatMap(memoryRow) }
    }

    private static let columns = """
        number, length, id, session, session_name, generation, agent, first_turn, last_turn, time, summary, entities,
        text, shape
        """

    private func memoryRow(_ row: Row) throws -> (MemoryRow, RowShape)? {
        guard let session = Digest128(bytes: row[3] as Data) else { return nil }
        let shape = try row.withUnsafeData(atIndex: 13) {
            ($0 ?? Data()).withUnsafeBytes(RowShape.init(blob:))
        }
        let memory = MemoryRow(
            id: row[2], scope: Scope(principal: scope.principal, session: session, sessionID: row[4]),
            generation: row[5], agent: row[6], firstTurn: row[7], lastTurn: row[8], time: row[9],
            summary: row[10], entities: TurnCoding.decodeTexts(row[11]), text: row[12])
        return (memory, shape)
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
            guard let (memory, shape) = try memoryRow(row) else { continue }
            try row.withUnsafeData(atIndex: 14) { vector in
                guard let vector else { return }
                places[row[0]] = vector.withUnsafeBytes {
                    memories.append(memory, vector: $0, shape: shape, length: row[1])
                }
            }
        }
        let terms = try Row.fetchCursor(
            db.cachedStatement(
                sql: "SELECT term, number, places FROM memory_term WHERE principal = ? ORDER BY term, number"),
            arguments: [principal])
        while let row = try terms.next() {
            guard let place = places[row[1]] else { continue }
            try row.withUnsafeData(atIndex: 2) { found in
                (found ?? Data()).withUnsafeBytes {
                    memories.note(row[0], TermPlace.places(blob: $0), at: place)
                }
            }
        }
        return memories
    }
}

/// L3 on SQLite: memory rows with their vectors and terms, searched by going through one principal's own.
import Foundation
import GRDB

public struct EmbeddedIndex: MemoryIndex {
    public let embedding: EmbeddingSpace
    private let database: EmbeddedDatabase

    init(database: EmbeddedDatabase, embedding: EmbeddingSpace) {
        self.database = database
        self.embedding = embedding
    }

    public func upsert(_ entries: [IndexEntry]) async throws {
        for entry in entries where entry.vector.count != embedding.dimension {
            throw DatabaseError(
                message: "a vector has \(entry.vector.count) dimensions, the index \(embedding.dimension)")
        }
        let prepared = try entries.map { try PreparedRow($0) }
        try await database.write { db in
            for row in prepared { try row.write(db) }
        }
    }

    public func search(_ scope: Scope, _ query: IndexQuery) async throws -> IndexAnswer {
        let terms = Tokenizer.queryTerms(query.text)
        return try await database.read { db in
            guard let principal = try PrincipalRecord.find(db, scope.principal) else {
                return IndexAnswer(hits: [])
            }
            let search = OwnedSearch(
                db: db, principal: principal.id,
                session: scope.recallsAcrossSessions ? nil : scope.session.blob)
            let similar = try query.vector.map { try search.similar(to: $0, limit: query.limit) } ?? [:]
            let (relevant, statistics) = try search.relevant(to: terms, limit: query.limit)
            let hits = try search.rows(Set(similar.keys).union(relevant.keys), scope: scope).map {
                number, row in
                IndexHit(row: row, similarity: similar[number], relevance: relevant[number])
            }
            return IndexAnswer(hits: hits, statistics: statistics)
        }
    }

    public func delete(_ scope: Scope, rows: [String]) async throws {
        try await database.write { db in
            guard let principal = try PrincipalRecord.find(db, scope.principal) else { return }
            for row in rows { try StoredRow.delete(db, id: row, principal: principal.id) }
        }
    }

    public func remaining(_ scope: Scope, before generation: Int64, rows: [String]) async throws -> [String] {
        try await database.read { db in
            guard let principal = try PrincipalRecord.find(db, scope.principal) else { return [] }
            let older = try db.cachedStatement(
                sql: "SELECT id FROM memory_row WHERE principal = ? AND session = ? AND generation < ?")
            var found = Set(
                try String.fetchAll(older, arguments: [principal.id, scope.session.blob, generation]))
            let named = try db.cachedStatement(
                sql: "SELECT id FROM memory_row WHERE id = ? AND principal = ?")
            for row in rows {
                if let id = try String.fetchOne(named, arguments: [row, principal.id]) { found.insert(id) }
            }
            return found.sorted()
        }
    }

    public func check() async throws {
        try await database.read { db in
            _ = try Row.fetchOne(db, sql: "SELECT 1 FROM memory_row LIMIT 1")
        }
    }

    public func close() async {
        await database.close()
    }
}

/// A row with its terms counted, before the transaction begins.
private struct PreparedRow {
    var row: MemoryRow
    var vector: Data
    var entities: String
    var length: Int
    var counts: [String: Int]

    init(_ entry: IndexEntry) throws {
        row = entry.row
        vector = entry.vector.withUnsafeBytes { Data($0) }
        entities = TurnCoding.encode(row.entities)
        let text = [row.text, row.summary, row.entities.joined(separator: "\n")].joined(separator: "\n")
        let terms = Tokenizer.terms(text)
        length = terms.count
        counts = Tokenizer.counts(terms)
    }

    func write(_ db: Database) throws {
        let principal = try PrincipalRecord.id(db, row.scope.principal)
        try StoredRow.delete(db, id: row.id, principal: principal)
        try db.cachedStatement(
            sql: """
                INSERT INTO memory_row (id, principal, session, session_name, generation, agent, first_turn, last_turn,
                    time, length, summary, entities, text, terms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            row.id, principal, row.scope.session.blob, row.scope.sessionID.storable, row.generation,
            row.agent.storable,
            row.firstTurn, row.lastTurn, row.time, length, row.summary.storable, entities, row.text.storable,
            counts.keys.joined(separator: " "),
        ])
        let number = db.lastInsertedRowID
        try db.cachedStatement(sql: "INSERT INTO memory_vector (principal, number, vector) VALUES (?, ?, ?)")
            .execute(arguments: [principal, number, vector])
        let insert = try db.cachedStatement(
            sql: "INSERT INTO memory_term (principal, term, number, count, length) VALUES (?, ?, ?, ?, ?)")
        for (term, count) in counts {
            try insert.execute(arguments: [principal, term, number, count, length])
        }
    }
}

private enum StoredRow {
    /// Deletes a row with its vector and its terms. The terms are those that were written, also where another version
    /// of the tokenizer would cut the text otherwise.
    static func delete(_ db: Database, id: String, principal: Int64) throws {
        let find = try db.cachedStatement(
            sql: "SELECT number, terms FROM memory_row WHERE id = ? AND principal = ?")
        guard let row = try Row.fetchOne(find, arguments: [id, principal]) else { return }
        let number: Int64 = row[0]
        let terms: String = row[1]
        let deleteTerm = try db.cachedStatement(
            sql: "DELETE FROM memory_term WHERE principal = ? AND term = ? AND number = ?")
        for term in terms.split(separator: " ") {
            try deleteTerm.execute(arguments: [principal, String(term), number])
        }
        try db.cachedStatement(sql: "DELETE FROM memory_vector WHERE principal = ? AND number = ?")
            .execute(arguments: [principal, number])
        try db.cachedStatement(sql: "DELETE FROM memory_row WHERE number = ?").execute(arguments: [number])
    }
}

/// A search among the rows of one principal, or of one of its sessions.
private struct OwnedSearch {
    var db: Database
    var principal: Int64
    var session: Data?

    /// The most similar rows by number, with their cosine similarity.
    func similar(to query: [Float], limit: Int) throws -> [Int64: Double] {
        let statement: Statement
        var arguments: StatementArguments = [principal]
        if let session {
            statement = try db.cachedStatement(
                sql: """
                    SELECT memory_vector.number, vector FROM memory_row JOIN memory_vector
                        ON memory_vector.principal = memory_row.principal AND memory_vector.number = memory_row.number
                    WHERE memory_row.principal = ? AND session = ?
                    """)
            arguments += [session]
        } else {
            statement = try db.cachedStatement(
                sql: "SELECT number, vector FROM memory_vector WHERE principal = ?")
        }
        var found: [(number: Int64, similarity: Double)] = []
        let cursor = try Row.fetchCursor(statement, arguments: arguments)
        while let row = try cursor.next() {
            let similarity = try row.withUnsafeData(atIndex: 1) { vector in
                Double(VectorMath.dot(query, vector ?? Data()))
            }
            if similarity > 0 { found.append((row[0], similarity)) }
            if found.count >= 4 * max(limit, 64) { Self.keepBest(&found, limit) }
        }
        Self.keepBest(&found, limit)
        return Dictionary(uniqueKeysWithValues: found.map { ($0.number, $0.similarity) })
    }

    private static func keepBest(_ found: inout [(number: Int64, similarity: Double)], _ limit: Int) {
        found.sort { $0.similarity > $1.similarity }
        found.removeLast(max(0, found.count - limit))
    }

    /// The rows whose words fit best by number, with their relevance; and how common each term is among all.
    func relevant(to terms: [String], limit: Int) throws -> ([Int64: Double], TermStatistics) {
        let totals = try db.cachedStatement(
            sql: """
                SELECT COUNT(*), TOTAL(length) FROM memory_row WHERE principal = ?1 AND (?2 IS NULL OR session = ?2)
                """)
        guard let total = try Row.fetchOne(totals, arguments: [principal, session]) else {
            return ([:], .init())
        }
        let documents: Int = total[0]
        let averageLength = (total[1] as Double) / Double(max(documents, 1))
        // Each posting has its row's length: only a search within one session looks at the rows themselves.
        let postings = try db.cachedStatement(
            sql: """
                SELECT number, count, length FROM memory_term
                WHERE principal = ?1 AND term = ?2 AND (?3 IS NULL OR EXISTS (
                    SELECT 1 FROM memory_row WHERE memory_row.number = memory_term.number AND session = ?3))
                """)
        var statistics = TermStatistics(documents: documents)
        let found = try terms.map { term in
            var rows: [(number: Int64, count: Int, length: Int)] = []
            // A cursor reads every row into the same place.
            let cursor = try Row.fetchCursor(postings, arguments: [principal, term, session])
            while let row = try cursor.next() { rows.append((row[0], row[1], row[2])) }
            statistics.frequencies[term] = rows.count
            return rows
        }
        let ranking = BM25(terms: terms, statistics: statistics)
        var relevance: [Int64: Double] = [:]
        for (index, rows) in found.enumerated() {
            for row in rows {
                relevance[row.number, default: 0] += ranking.share(
                    ofTermAt: index, count: row.count, length: row.length, averageLength: averageLength)
            }
        }
        let best = relevance.sorted { $0.value > $1.value }.prefix(limit)
        return (Dictionary(uniqueKeysWithValues: best.map { ($0.key, min($0.value, 1)) }), statistics)
    }

    func rows(_ numbers: Set<Int64>, scope: Scope) throws -> [(Int64, MemoryRow)] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT id, session, session_name, generation, agent, first_turn, last_turn, time, summary, entities, text
                FROM memory_row WHERE number = ? AND principal = ?
                """)
        return try numbers.compactMap { number in
            // A cursor's row is read in place, where a fetched one would be a copy of all its texts.
            let cursor = try Row.fetchCursor(statement, arguments: [number, principal])
            guard let row = try cursor.next(), let session = Digest128(bytes: row[1] as Data) else {
                return nil
            }
            let owner = Scope(
                principal: scope.principal, session: session,
                recallsAcrossSessions: scope.recallsAcrossSessions, sessionID: row[2])
            return (
                number,
                MemoryRow(
                    id: row[0], scope: owner, generation: row[3], agent: row[4], firstTurn: row[5],
                    lastTurn: row[6], time: row[7], summary: row[8],
                    entities: TurnCoding.decodeTexts(row[9]), text: row[10])
            )
        }
    }
}

enum VectorMath {
    /// The dot product of a vector and one stored as its floats' bytes: the cosine, as both have unit length. Zero
    /// where the lengths differ.
    static func dot(_ query: [Float], _ stored: Data) -> Float {
        guard stored.count == query.count * MemoryLayout<Float>.stride else { return 0 }
        return stored.withUnsafeBytes { bytes in
            query.withUnsafeBytes { query in
                // SQLite promises no alignment, hence the unaligned loads; eight sums side by side let the compiler use
                // vector instructions, which it may not for one sum of floats.
                let count = query.count / MemoryLayout<Float>.stride
                var sums = SIMD8<Float>()
                var index = 0
                while index + 8 <= count {
                    let left = query.loadUnaligned(fromByteOffset: index * 4, as: SIMD8<Float>.self)
                    let right = bytes.loadUnaligned(fromByteOffset: index * 4, as: SIMD8<Float>.self)
                    sums += left * right
                    index += 8
                }
                var sum = sums.sum()
                while index < count {
                    sum +=
                        query.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
                        * bytes.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
                    index += 1
                }
                return sum
            }
        }
    }
}

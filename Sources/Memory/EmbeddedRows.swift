/// How a memory row lies in the embedded index: its columns, its vector and its terms, written and deleted together.
import Foundation
import GRDB

/// A row with its terms counted, before the transaction begins.
struct PreparedRow {
    var row: MemoryRow
    var vector: [Float]
    var entities: String
    var length: Int
    var counts: [String: Int]

    init(_ entry: IndexEntry) throws {
        row = entry.row
        row.agent = row.agent.storable
        row.summary = row.summary.storable
        row.text = row.text.storable
        vector = entry.vector
        entities = TurnCoding.encode(row.entities)
        row.entities = TurnCoding.decodeTexts(entities)
        let terms = Tokenizer.terms(row.searchedText)
        length = terms.count
        counts = Tokenizer.counts(terms)
    }

    /// False where it replaces a row: then the memories are to be read anew.
    func add(to memories: inout ResidentMemories) -> Bool {
        guard !memories.contains(row.id),
            let place = vector.withUnsafeBytes({ memories.append(row, vector: $0, length: length) })
        else { return false }
        for (term, count) in counts { memories.note(term, count: count, at: place) }
        return true
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
            row.agent, row.firstTurn, row.lastTurn, row.time, length, row.summary, entities, row.text,
            counts.keys.joined(separator: " "),
        ])
        let number = db.lastInsertedRowID
        try db.cachedStatement(sql: "INSERT INTO memory_vector (principal, number, vector) VALUES (?, ?, ?)")
            .execute(arguments: [principal, number, vector.withUnsafeBytes { Data($0) }])
        let insert = try db.cachedStatement(
            sql: "INSERT INTO memory_term (principal, term, number, count, length) VALUES (?, ?, ?, ?, ?)")
        for (term, count) in counts {
            try insert.execute(arguments: [principal, term, number, count, length])
        }
    }
}

enum StoredRow {
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

/// How a memory row lies in the embedded index: its columns, its vector and its terms, written and deleted together.
import Foundation
import GRDB

/// A row with its terms counted, before the transaction begins.
struct PreparedRow {
    var row: MemoryRow
    var vector: [Float]
    var entities: String
    var terms: RowTerms
    /// Where each of its terms stands.
    var places: [String: [TermPlace]]

    init(_ entry: IndexEntry) throws {
        row = entry.row
        row.agent = row.agent.storable
        row.summary = row.summary.storable
        row.text = row.text.storable
        vector = entry.vector
        entities = TurnCoding.encode(row.entities)
        row.entities = TurnCoding.decodeTexts(entities)
        terms = RowTerms(row)
        places = Dictionary(grouping: terms.places, by: \.term).mapValues { $0.map(\.place) }
    }

    /// False where it replaces a row: then the memories are to be read anew.
    func add(to memories: inout ResidentMemories) -> Bool {
        guard !memories.contains(row.id) else { return false }
        return vector.withUnsafeBytes { memories.append(row, vector: $0, terms: terms) }
    }

    func write(_ db: Database) throws {
        let principal = try PrincipalRecord.id(db, row.scope.principal)
        try StoredRow.delete(db, id: row.id, principal: principal)
        try db.cachedStatement(
            sql: """
                INSERT INTO memory_row (id, principal, session, session_name, generation, agent, first_turn, last_turn,
                    time, length, lines, passages, passage_terms, shape, summary, entities, text, terms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            row.id, principal, row.scope.session.blob, row.scope.sessionID.storable, row.generation,
            row.agent, row.firstTurn, row.lastTurn, row.time, terms.length, terms.shape.said,
            terms.shape.passages, terms.shape.passageTerms, terms.shape.blob, row.summary, entities, row.text,
            places.keys.joined(separator: " "),
        ])
        let number = db.lastInsertedRowID
        try db.cachedStatement(sql: "INSERT INTO memory_vector (principal, number, vector) VALUES (?, ?, ?)")
            .execute(arguments: [principal, number, vector.withUnsafeBytes { Data($0) }])
        let insert = try db.cachedStatement(
            sql: """
                INSERT INTO memory_term (principal, term, number, count, length, lines, places)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """)
        for (term, places) in places {
            try insert.execute(arguments: [
                principal, term, number, places.reduce(0) { $0 + Int($1.count) }, terms.length,
                places.count { $0.isSaid(in: terms.shape) }, TermPlace.blob(places),
            ])
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

/// As numbers of two bytes, the lower byte first.
extension RowShape {
    var blob: Data { Data(littleEndian: [UInt16(clamping: said), UInt16(clamping: dayLength)] + lengths) }

    init(blob: UnsafeRawBufferPointer) {
        let numbers = stride(from: 0, to: blob.count - 1, by: 2).map(blob.littleEndian(at:))
        guard numbers.count >= 2 else { return }
        lengths = Array(numbers[2...])
        said = min(Int(numbers[0]), lengths.count)
        dayLength = Int(numbers[1])
    }
}

extension TermPlace {
    static func blob(_ places: [TermPlace]) -> Data {
        Data(littleEndian: places.flatMap { [$0.line, $0.count] })
    }

    /// To be read while the bytes are there.
    static func places(blob: UnsafeRawBufferPointer) -> some Collection<TermPlace> {
        (0..<blob.count / 4).lazy.map {
            TermPlace(line: blob.littleEndian(at: $0 * 4), count: blob.littleEndian(at: $0 * 4 + 2))
        }
    }
}

extension Data {
    fileprivate init(littleEndian numbers: [UInt16]) {
        self = numbers.map(\.littleEndian).withUnsafeBytes { Data($0) }
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func littleEndian(at offset: Int) -> UInt16 {
        UInt16(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
}

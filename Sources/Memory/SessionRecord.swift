/// A session's row in the embedded store, and the statements that read and write it.
import Foundation
import GRDB

struct SessionRecord {
    var id: Int64
    var principal: Int64
    var checkpoint: Checkpoint

    private static let columns = """
        id, principal, generation, created_at, turn_count, last_turn_id, last_turn_at, active_agent,
        planned_through, archived_first, archived_through, rolling_summary, activated_skills
        """
    private static let columnsWithoutSummary = columns.replacing("rolling_summary", with: "''")

    static func find(_ db: Database, _ scope: Scope) throws -> SessionRecord? {
        let statement = try db.cachedStatement(sql: "SELECT \(columns) FROM session WHERE digest = ?")
        return try Row.fetchOne(statement, arguments: [scope.session.blob]).map(SessionRecord.init)
    }

    /// For a writer that knows the session: its rolling summary, the one part that grows, is read only where it has changed.
    static func find(_ db: Database, _ scope: Scope, known: Checkpoint) throws -> SessionRecord? {
        let statement = try db.cachedStatement(
            sql: "SELECT \(columnsWithoutSummary) FROM session WHERE digest = ?")
        let found = try Row.fetchOne(statement, arguments: [scope.session.blob]).map(SessionRecord.init)
        guard var found else { return nil }
        let stored = found.checkpoint
        let hasChanged =
            (stored.generation, stored.archivedFirst, stored.archivedThrough)
            != (known.generation, known.archivedFirst, known.archivedThrough)
        if hasChanged { return try find(db, scope) }
        found.checkpoint.rollingSummary = known.rollingSummary
        return found
    }

    static func find(_ db: Database, id: Int64) throws -> SessionRecord? {
        let statement = try db.cachedStatement(sql: "SELECT \(columns) FROM session WHERE id = ?")
        return try Row.fetchOne(statement, arguments: [id]).map(SessionRecord.init)
    }

    private init(_ row: Row) {
        id = row[0]
        principal = row[1]
        let lastTurnID: String? = row[5]
        checkpoint = Checkpoint(
            generation: row[2], createdAt: row[3], turnCount: row[4],
            lastTurnID: lastTurnID.flatMap { TurnID($0) }, lastTurnAt: row[6], activeAgent: row[7],
            activatedSkills: ActivatedSkills.read(row[12]), plannedThrough: row[8], archivedFirst: row[9],
            archivedThrough: row[10], rollingSummary: row[11])
    }

    /// Creates a session with a checkpoint of no turns.
    static func create(_ db: Database, _ scope: Scope, generation: Int64) throws -> SessionRecord {
        let principal = try PrincipalRecord.id(db, scope.principal)
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO session (digest, principal, name, generation, created_at, turn_count,
                    last_turn_at, active_agent, planned_through, archived_first, archived_through, rolling_summary,
                    expires_at)
                VALUES (?, ?, ?, ?, 0, 0, 0, '', 0, 1, 0, '', 0)
                """)
        try statement.execute(arguments: [
            scope.session.blob, principal, scope.sessionID.storable, generation,
        ])
        return SessionRecord(
            id: db.lastInsertedRowID, principal: principal, checkpoint: Checkpoint(generation: generation))
    }

    private init(id: Int64, principal: Int64, checkpoint: Checkpoint) {
        self.id = id
        self.principal = principal
        self.checkpoint = checkpoint
    }

    /// Writes the checkpoint, but for its rolling summary, and when it ends; a tail without a plan is due before that.
    func save(_ db: Database, policy: BufferPolicy, now: Int64) throws {
        let expiresAt = now + policy.checkpointTTL
        let isDue = checkpoint.turnCount > checkpoint.plannedThrough
        let statement = try db.cachedStatement(
            sql: """
                UPDATE session SET generation = ?, created_at = ?, turn_count = ?, last_turn_id = ?, last_turn_at = ?,
                    active_agent = ?, activated_skills = ?, planned_through = ?, archived_first = ?,
                    archived_through = ?, expires_at = ?, due_at = ?
                WHERE id = ?
                """)
        try statement.execute(arguments: [
            checkpoint.generation, checkpoint.createdAt, checkpoint.turnCount, checkpoint.lastTurnID?.value,
            checkpoint.lastTurnAt, checkpoint.activeAgent.storable,
            ActivatedSkills.text(checkpoint.activatedSkills), checkpoint.plannedThrough,
            checkpoint.archivedFirst,
            checkpoint.archivedThrough, expiresAt,
            isDue ? expiresAt - policy.sweepMargin : nil, id,
        ])
    }
}

enum PrincipalRecord {
    static func find(_ db: Database, _ digest: Digest128) throws -> (id: Int64, archiveGeneration: Int64)? {
        let statement = try db.cachedStatement(
            sql: "SELECT id, archive_generation FROM principal WHERE digest = ?")
        return try Row.fetchOne(statement, arguments: [digest.blob]).map { ($0[0], $0[1]) }
    }

    /// The principal's number, made where it has none.
    static func id(_ db: Database, _ digest: Digest128) throws -> Int64 {
        if let found = try find(db, digest) { return found.id }
        try db.cachedStatement(sql: "INSERT INTO principal (digest) VALUES (?)")
            .execute(arguments: [digest.blob])
        return db.lastInsertedRowID
    }

    /// Cached answers of the principal's index are void from here on.
    static func bumpArchiveGeneration(_ db: Database, id: Int64) throws {
        try db.cachedStatement(
            sql: "UPDATE principal SET archive_generation = archive_generation + 1 WHERE id = ?"
        ).execute(arguments: [id])
    }
}

/// Where a turn lies: its session's number and its sequence in one integer.
enum TurnKey {
    static func make(session: Int64, sequence: Int) -> Int64 { session << 32 | Int64(sequence) }
    static func sequence(_ key: Int64) -> Int { Int(key & 0xFFFF_FFFF) }
}

extension Digest128 {
    var blob: Data { Data(bytes) }
}

extension String {
    /// Without NUL, at which SQLite's text ends.
    var storable: String {
        utf8.contains(0) ? String(map { $0 == "\0" ? "\u{FFFD}" : $0 }) : self
    }
}

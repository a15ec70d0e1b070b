/// L2 on SQLite: sessions and their turns, loaded by one read and committed by one grouped write.
import Foundation
import GRDB

public struct EmbeddedCheckpoints: CheckpointStore {
    let database: EmbeddedDatabase
    let resident = ResidentFragments(bytes: 32 << 20)

    public func load(_ scope: Scope, contextLimit: Int) async throws -> SessionView {
        try await database.read { db in
            guard let session = try SessionRecord.find(db, scope) else { return SessionView() }
            let start = session.checkpoint.contextStart(limit: contextLimit)
            let context = try Self.turns(db, session: session.id, after: start - 1, limit: Int.max)
            return SessionView(checkpoint: session.checkpoint, context: context)
        }
    }

    public func commit(_ request: CommitRequest) async throws -> CommitAnswer {
        let payload = try TurnCoding.encode(request.turn)
        return try await database.write { db in
            try Self.commit(db, request, payload: payload)
        } afterwards: { [resident] answer in
            if case .applied(let sequence, let checkpoint, _) = answer, sequence == checkpoint.turnCount {
                resident.appended(request.scope, sequence: sequence)
            } else {
                resident.changed(request.scope.principal)
            }
        }
    }

    public func turns(_ scope: Scope, after: Int, limit: Int) async throws -> [StoredTurn] {
        try await database.read { db in
            guard let session = try SessionRecord.find(db, scope) else { return [] }
            return try Self.turns(db, session: session.id, after: after, limit: limit)
        }
    }

    public func turn(_ scope: Scope, id: TurnID) async throws -> StoredTurn? {
        try await database.read { db in
            guard let session = try SessionRecord.find(db, scope) else { return nil }
            let statement = try db.cachedStatement(
                sql: "SELECT id, payload FROM turn WHERE session = ? AND turn_id = ?")
            return try Row.fetchOne(statement, arguments: [session.id, id.value]).map(Self.stored)
        }
    }

    public func turn(_ scope: Scope, requestDigest: String, since: Int64) async throws -> StoredTurn? {
        try await database.read { db in
            guard let session = try SessionRecord.find(db, scope) else { return nil }
            let statement = try db.cachedStatement(
                sql: """
                    SELECT id, payload FROM turn WHERE session = ? AND request_digest = ? AND finished_at >= ?
                    ORDER BY id DESC LIMIT 1
                    """)
            return try Row.fetchOne(statement, arguments: [session.id, requestDigest, since]).map(Self.stored)
        }
    }

    public func expire(now: Int64, limit: Int) async throws -> Int {
        try await database.write { db in try Self.expire(db, now: now, limit: limit) }
    }

    public func status() async throws -> CheckpointStatus {
        try await database.read { db in
            let count = { (sql: String) in try Int.fetchOne(db, sql: sql) ?? 0 }
            let parked = try Row.fetchAll(
                db, sql: "SELECT batch_id, failure FROM plan WHERE parked = 1 ORDER BY id LIMIT 16")
            return CheckpointStatus(
                plansPending: try count("SELECT COUNT(*) FROM plan WHERE parked = 0"),
                plansParked: try count("SELECT COUNT(*) FROM plan WHERE parked = 1"),
                forgetsPending: try count("SELECT COUNT(*) FROM forgetting"),
                parked: Dictionary(parked.map { ($0[0], $0[1] ?? "") }, uniquingKeysWith: { $1 }))
        }
    }

    public func close() async {
        await database.close()
    }
}

/// What the calls do inside a transaction.
extension EmbeddedCheckpoints {
    static func turns(_ db: Database, session: Int64, after: Int, limit: Int) throws -> [StoredTurn] {
        let statement = try db.cachedStatement(
            sql: "SELECT id, payload FROM turn WHERE id > ? AND id < ? ORDER BY id LIMIT ?")
        let from = TurnKey.make(session: session, sequence: max(0, after))
        return try Row.fetchAll(statement, arguments: [from, (session + 1) << 32, limit]).map(stored)
    }

    private static func stored(_ row: Row) throws -> StoredTurn {
        StoredTurn(sequence: TurnKey.sequence(row[0]), turn: try TurnCoding.decode(row[1]))
    }

    private static func commit(_ db: Database, _ request: CommitRequest, payload: String) throws
        -> CommitAnswer
    {
        let found = try SessionRecord.find(db, request.scope, known: request.known)
        let stored = found?.checkpoint ?? Checkpoint()
        let existing = try found.flatMap { try place(db, session: $0.id, of: request.turn.id) }
        let decision = CommitRule.decide(request, stored: stored, existing: existing)
        switch decision {
        case .forgotten: return .forgotten(generation: stored.generation)
        case .stale: return .stale(lastTurnID: stored.lastTurnID)
        case .duplicate(let sequence):
            guard let found, let row = try turn(db, session: found.id, sequence: sequence) else {
                return .stale(lastTurnID: stored.lastTurnID)
            }
            return .duplicate(row)
        case .replace(let sequence, let checkpoint, let plan):
            guard var session = found else { return .stale(lastTurnID: nil) }
            session.checkpoint = checkpoint
            try replace(db, session, sequence: sequence, request, payload: payload)
            if let plan { try insert(db, plan, session: session) }
            return .applied(sequence: sequence, checkpoint: checkpoint, plan: plan)
        case .append(let checkpoint, let plan):
            var session =
                try found ?? SessionRecord.create(db, request.scope, generation: checkpoint.generation)
            session.checkpoint = checkpoint
            try append(db, session, request, payload: payload)
            if let plan { try insert(db, plan, session: session) }
            return .applied(sequence: checkpoint.turnCount, checkpoint: checkpoint, plan: plan)
        }
    }

    private static func place(
        _ db: Database, session: Int64, of id: TurnID
    ) throws -> (sequence: Int, ending: Turn.Ending)? {
        let statement = try db.cachedStatement(
            sql: "SELECT id, ending FROM turn WHERE session = ? AND turn_id = ?")
        return try Row.fetchOne(statement, arguments: [session, id.value]).map { row in
            (TurnKey.sequence(row[0]), Turn.Ending(rawValue: row[1]) ?? .complete)
        }
    }

    private static func turn(_ db: Database, session: Int64, sequence: Int) throws -> StoredTurn? {
        let statement = try db.cachedStatement(sql: "SELECT id, payload FROM turn WHERE id = ?")
        let key = TurnKey.make(session: session, sequence: sequence)
        return try Row.fetchOne(statement, arguments: [key]).map(stored)
    }

    private static func append(
        _ db: Database, _ session: SessionRecord, _ request: CommitRequest, payload: String
    ) throws {
        let turn = request.turn
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO turn (id, turn_id, ending, request_digest, finished_at, payload)
                VALUES (?, ?, ?, ?, ?, ?)
                """)
        try statement.execute(arguments: [
            TurnKey.make(session: session.id, sequence: session.checkpoint.turnCount), turn.id.value,
            turn.ending.rawValue, turn.requestDigest, turn.finishedAt, payload,
        ])
        try session.save(db, policy: request.policy, now: request.now)
        try trimHistory(db, session, limit: request.policy.historyLimit)
    }

    private static func replace(
        _ db: Database, _ session: SessionRecord, sequence: Int, _ request: CommitRequest, payload: String
    ) throws {
        let turn = request.turn
        let statement = try db.cachedStatement(
            sql: "UPDATE turn SET ending = ?, request_digest = ?, finished_at = ?, payload = ? WHERE id = ?")
        try statement.execute(arguments: [
            turn.ending.rawValue, turn.requestDigest, turn.finishedAt, payload,
            TurnKey.make(session: session.id, sequence: sequence),
        ])
        // Whoever has claimed the batch read the turn as it was: the claim is void, the batch is claimed anew.
        try db.cachedStatement(
            sql: """
                UPDATE plan SET claim_token = NULL, claim_until = 0 WHERE session = ? AND first <= ? AND last >= ?
                """
        ).execute(arguments: [session.id, sequence, sequence])
        try session.save(db, policy: request.policy, now: request.now)
    }

    /// Archived turns beyond the limit go; those of a batch that still has a plan stay.
    private static func trimHistory(_ db: Database, _ session: SessionRecord, limit: Int) throws {
        var through = min(session.checkpoint.turnCount - limit, session.checkpoint.archivedThrough)
        guard through > 0 else { return }
        let planned = try db.cachedStatement(sql: "SELECT MIN(first) FROM plan WHERE session = ?")
        if let first = try Int.fetchOne(planned, arguments: [session.id]) {
            through = min(through, first - 1)
        }
        try db.cachedStatement(sql: "DELETE FROM turn WHERE id > ? AND id <= ?")
            .execute(arguments: [
                TurnKey.make(session: session.id, sequence: 0),
                TurnKey.make(session: session.id, sequence: max(through, 0)),
            ])
    }

    /// Milliseconds that a session's rows outlive its checkpoint's time.
    private static let grace: Int64 = 86_400_000

    private static func expire(_ db: Database, now: Int64, limit: Int) throws -> Int {
        let statement = try db.cachedStatement(
            sql: """
                SELECT id FROM session WHERE expires_at <= ? AND turn_count = archived_through
                    AND NOT EXISTS (SELECT 1 FROM plan WHERE plan.session = session.id)
                    AND NOT EXISTS (SELECT 1 FROM forgetting WHERE forgetting.session = session.id)
                ORDER BY expires_at LIMIT ?
                """)
        let sessions = try Int64.fetchAll(statement, arguments: [now - grace, limit])
        for session in sessions {
            try db.cachedStatement(sql: "DELETE FROM turn WHERE id > ? AND id < ?")
                .execute(arguments: [session << 32, (session + 1) << 32])
            try db.cachedStatement(sql: "DELETE FROM written_row WHERE session = ?")
                .execute(arguments: [session])
            try db.cachedStatement(sql: "DELETE FROM session WHERE id = ?").execute(arguments: [session])
        }
        return sessions.count
    }
}

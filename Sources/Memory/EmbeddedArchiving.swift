/// L2 on SQLite: archive plans, who carries them out, and fragments, found by recall or due to be archived.
import Foundation
import GRDB

extension EmbeddedCheckpoints {
    public func claim(
        _ plan: ArchivePlan, token: String, until: Int64, now: Int64
    ) async throws -> ClaimAnswer {
        try await database.write { db in
            guard let row = try PlanRecord.find(db, plan.batchID), !row.isParked,
                let session = try SessionRecord.find(db, id: row.session),
                session.checkpoint.generation == plan.generation
            else { return .gone }
            guard row.claimUntil <= now, row.nextAttempt <= now, try !row.isPreceded(db) else { return .busy }
            try db.cachedStatement(sql: "UPDATE plan SET claim_token = ?, claim_until = ? WHERE id = ?")
                .execute(arguments: [token, until, row.id])
            let turns = try Self.turns(
                db, session: row.session, after: plan.first - 1, limit: plan.last - plan.first + 1)
            return .granted(
                ClaimedBatch(
                    turns: turns, rollingSummary: session.checkpoint.rollingSummary, attempts: row.attempts,
                    rows: try Self.writtenRows(db, session: row.session, batch: plan.batchID)))
        }
    }

    public func recordRows(_ claim: ArchiveClaim, rows: [String], until: Int64) async throws -> Bool {
        try await database.write { db in
            guard try !Self.wasForgotten(db, claim) else { return false }
            guard let row = try PlanRecord.find(db, claim.plan.batchID), row.claimToken == claim.token else {
                return false
            }
            try db.cachedStatement(sql: "UPDATE plan SET claim_until = ? WHERE id = ?")
                .execute(arguments: [until, row.id])
            try Self.noteRows(db, session: row.session, batch: claim.plan.batchID, rows: rows)
            return true
        }
    }

    public func finish(
        _ claim: ArchiveClaim, rows: [String], rollingSummary: String
    ) async throws -> FinishAnswer {
        try await database.write { db in
            let plan = claim.plan
            guard try !Self.wasForgotten(db, claim) else { return .forgotten }
            guard var session = try SessionRecord.find(db, plan.scope) else { return .lost(rows: nil) }
            guard let row = try PlanRecord.find(db, plan.batchID) else {
                return .lost(rows: try Self.writtenRows(db, session: session.id, batch: plan.batchID))
            }
            guard row.claimToken == claim.token else { return .lost(rows: nil) }
            session.checkpoint.archivedFirst = plan.first
            session.checkpoint.archivedThrough = max(session.checkpoint.archivedThrough, plan.last)
            session.checkpoint.rollingSummary = rollingSummary.storable
            try db.cachedStatement(
                sql: """
                    UPDATE session SET archived_first = ?, archived_through = ?, rolling_summary = ? WHERE id = ?
                    """
            ).execute(arguments: [
                session.checkpoint.archivedFirst, session.checkpoint.archivedThrough,
                session.checkpoint.rollingSummary, session.id,
            ])
            try db.cachedStatement(sql: "DELETE FROM plan WHERE id = ?").execute(arguments: [row.id])
            try db.cachedStatement(sql: "DELETE FROM written_row WHERE session = ? AND batch_id = ?")
                .execute(arguments: [session.id, plan.batchID])
            try Self.noteRows(db, session: session.id, batch: plan.batchID, rows: rows)
            try PrincipalRecord.bumpArchiveGeneration(db, id: session.principal)
            return .archived(session.checkpoint)
        } afterwards: { [resident] _ in
            resident.changed(claim.plan.scope.principal)
        }
    }

    public func giveBack(_ claim: ArchiveClaim, _ failure: ArchiveFailure) async throws {
        try await database.write { db in
            guard try !Self.wasForgotten(db, claim) else { return }
            try db.cachedStatement(
                sql: """
                    UPDATE plan SET claim_token = NULL, claim_until = 0, attempts = ?, next_attempt = ?, failure = ?,
                        parked = ? WHERE batch_id = ? AND claim_token = ?
                    """
            ).execute(arguments: [
                failure.attempts, failure.nextAttempt ?? 0, failure.reason.storable,
                failure.nextAttempt == nil,
                claim.plan.batchID, claim.token,
            ])
        } afterwards: { [resident] _ in
            resident.changed(claim.plan.scope.principal)
        }
    }

    public func pendingPlans(now: Int64, limit: Int) async throws -> [ArchivePlan] {
        try await database.read { db in
            let statement = try db.cachedStatement(
                sql: """
                    \(PlanRecord.selection) WHERE plan.parked = 0 AND plan.next_attempt <= ? AND plan.claim_until <= ?
                        AND NOT EXISTS (SELECT 1 FROM plan AS earlier WHERE earlier.session = plan.session
                            AND earlier.first < plan.first AND earlier.parked = 0)
                    ORDER BY plan.next_attempt, plan.id LIMIT ?
                    """)
            return try Row.fetchAll(statement, arguments: [now, now, limit]).map(PlanRecord.plan)
        }
    }

    public func planDueFragments(now: Int64, limit: Int) async throws -> Int {
        try await database.write { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT session.id, principal.digest, session.digest, name
                    FROM session JOIN principal ON principal.id = session.principal
                    WHERE due_at <= ? ORDER BY due_at LIMIT ?
                    """)
            let due = try Row.fetchAll(statement, arguments: [now, limit])
            for row in due {
                guard var session = try SessionRecord.find(db, id: row[0]),
                    let scope = Scope(principal: row[1], session: row[2], name: row[3])
                else { continue }
                let checkpoint = session.checkpoint
                let plan = ArchivePlan(
                    scope: scope, agent: checkpoint.activeAgent, first: checkpoint.plannedThrough + 1,
                    last: checkpoint.turnCount, generation: checkpoint.generation,
                    createdAt: checkpoint.createdAt)
                session.checkpoint.plannedThrough = checkpoint.turnCount
                try Self.insert(db, plan, session: session)
                try db.cachedStatement(
                    sql: "UPDATE session SET planned_through = ?, due_at = NULL WHERE id = ?"
                )
                .execute(arguments: [checkpoint.turnCount, session.id])
            }
            return due.count
        }
    }

    public func fragments(_ scope: Scope, limit: FragmentLimit) async throws -> Fragments {
        let (known, mark) = resident.find(scope, limit: limit)
        if let known { return known }
        let read = try await readFragments(scope, limit: limit)
        resident.keep(read, scope, limit: limit, since: mark)
        return read
    }

    func readFragments(_ scope: Scope, limit: FragmentLimit) async throws -> Fragments {
        try await database.read { db in
            guard let principal = try PrincipalRecord.find(db, scope.principal) else {
                return Fragments(archiveGeneration: 0, turns: [], forgetting: [:])
            }
            var fragments = Fragments(
                archiveGeneration: principal.archiveGeneration, turns: [],
                forgetting: try Self.forgetting(db, principal: principal.id))
            for range in try FragmentRange.find(db, principal: principal.id, limit: limit.sessions) {
                let room = limit.turns - fragments.turns.count
                guard room > 0 else { break }
                let isOwn = range.digest == scope.session
                let through = isOwn ? min(range.through, limit.ownTurnsBefore - 1) : range.through
                // The latest of a long tail: what came before them is still in the session's own context.
                let after = max(range.after, through - room)
                guard through > after else { continue }
                fragments.turns += try Self.turns(
                    db, session: range.session, after: after, limit: through - after
                ).map { FragmentTurn(session: range.digest, sessionID: range.name, stored: $0) }
            }
            return fragments
        }
    }

    static func insert(_ db: Database, _ plan: ArchivePlan, session: SessionRecord) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO plan (batch_id, session, principal, agent, first, last, generation)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            plan.batchID, session.id, session.principal, plan.agent, plan.first, plan.last, plan.generation,
        ])
    }

    private static func noteRows(_ db: Database, session: Int64, batch: String, rows: [String]) throws {
        let statement = try db.cachedStatement(
            sql: "INSERT OR IGNORE INTO written_row (session, batch_id, row_id) VALUES (?, ?, ?)")
        for row in rows { try statement.execute(arguments: [session, batch, row]) }
    }

    private static func writtenRows(_ db: Database, session: Int64, batch: String) throws -> [String] {
        let statement = try db.cachedStatement(
            sql: "SELECT row_id FROM written_row WHERE session = ? AND batch_id = ?")
        return try String.fetchAll(statement, arguments: [session, batch])
    }
}

/// A plan's row: what a claim looks at.
private struct PlanRecord {
    var id: Int64
    var session: Int64
    var first: Int
    var claimToken: String?
    var claimUntil: Int64
    var attempts: Int
    var nextAttempt: Int64
    var isParked: Bool

    static let selection = """
        SELECT principal.digest, session.digest, session.name, plan.agent, plan.batch_id, plan.first, plan.last,
            plan.generation
        FROM plan JOIN session ON session.id = plan.session JOIN principal ON principal.id = plan.principal
        """

    static func find(_ db: Database, _ batch: String) throws -> PlanRecord? {
        let statement = try db.cachedStatement(
            sql: """
                SELECT id, session, first, claim_token, claim_until, attempts, next_attempt, parked
                FROM plan WHERE batch_id = ?
                """)
        return try Row.fetchOne(statement, arguments: [batch]).map { row in
            PlanRecord(
                id: row[0], session: row[1], first: row[2], claimToken: row[3], claimUntil: row[4],
                attempts: row[5], nextAttempt: row[6], isParked: row[7])
        }
    }

    /// Batches of a session are archived in order; a parked one does not hold up those after it.
    func isPreceded(_ db: Database) throws -> Bool {
        let statement = try db.cachedStatement(
            sql: "SELECT 1 FROM plan WHERE session = ? AND first < ? AND parked = 0 LIMIT 1")
        return try Row.fetchOne(statement, arguments: [session, first]) != nil
    }

    static func plan(_ row: Row) throws -> ArchivePlan {
        guard let scope = Scope(principal: row[0], session: row[1], name: row[2]) else {
            throw DatabaseError(message: "a digest in the tables session and principal must have 16 bytes")
        }
        return ArchivePlan(
            scope: scope, agent: row[3], batchID: row[4], first: row[5], last: row[6], generation: row[7])
    }
}

/// Turns of one session that no memory holds yet.
private struct FragmentRange {
    var session: Int64
    var digest: Digest128
    var name: String
    var after: Int
    var through: Int

    /// Tails after the archived part, and parked batches; the latest first.
    static func find(_ db: Database, principal: Int64, limit: Int) throws -> [FragmentRange] {
        let tails = try db.cachedStatement(
            sql: """
                SELECT id, digest, name, archived_through, turn_count FROM session
                WHERE principal = ? AND turn_count > archived_through
                ORDER BY last_turn_at DESC LIMIT ?
                """)
        let parked = try db.cachedStatement(
            sql: """
                SELECT session.id, digest, name, plan.first - 1, MIN(plan.last, session.archived_through)
                FROM plan JOIN session ON session.id = plan.session
                WHERE plan.principal = ? AND parked AND plan.first <= session.archived_through
                ORDER BY plan.last DESC LIMIT ?
                """)
        let rows = try [tails, parked].flatMap {
            try Row.fetchAll($0, arguments: [principal, limit])
        }
        return rows.compactMap { row in
            Digest128(bytes: row[1] as Data).map {
                FragmentRange(session: row[0], digest: $0, name: row[2], after: row[3], through: row[4])
            }
        }
    }
}

extension Scope {
    /// As its columns hold it; nil where a digest is damaged.
    init?(principal: Data, session: Data, name: String) {
        guard let principal = Digest128(bytes: principal), let session = Digest128(bytes: session) else {
            return nil
        }
        self.init(principal: principal, session: session, sessionID: name)
    }
}

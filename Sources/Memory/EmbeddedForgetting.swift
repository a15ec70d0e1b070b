/// L2 on SQLite: the tombstone of a forgotten session and the work that remains until its rows are gone.
import Foundation
import GRDB

extension EmbeddedCheckpoints {
    public func forget(_ scope: Scope, policy: BufferPolicy, now: Int64) async throws -> ForgetWork {
        try await database.write { db in
            var session = try SessionRecord.find(db, scope) ?? SessionRecord.create(db, scope, generation: 0)
            // Later than every generation before it, also of a session of this name that has expired since.
            let generation = max(session.checkpoint.generation + 1, now)
            let claimed = try db.cachedStatement(sql: "SELECT MAX(claim_until) FROM plan WHERE session = ?")
            let claimsUntil = try Int64.fetchOne(claimed, arguments: [session.id]) ?? 0
            session.checkpoint = Checkpoint(generation: generation)
            try session.save(db, policy: policy, now: now)
            try db.cachedStatement(sql: "UPDATE session SET rolling_summary = '' WHERE id = ?")
                .execute(arguments: [session.id])
            try Self.noteWork(db, session, claimsUntil: claimsUntil)
            try db.cachedStatement(sql: "DELETE FROM turn WHERE id > ? AND id < ?")
                .execute(arguments: [session.id << 32, (session.id + 1) << 32])
            try db.cachedStatement(sql: "DELETE FROM plan WHERE session = ?").execute(arguments: [session.id])
            try PrincipalRecord.bumpArchiveGeneration(db, id: session.principal)
            return try Self.work(db, scope: scope, session: session.id)
        } afterwards: { [resident] _ in
            resident.changed(scope.principal)
        }
    }

    public func pendingForgets(limit: Int) async throws -> [ForgetWork] {
        try await database.read { db in
            let statement = try db.cachedStatement(
                sql: """
                    SELECT forgetting.session, principal.digest, session.digest, name
                    FROM forgetting JOIN session ON session.id = forgetting.session
                        JOIN principal ON principal.id = forgetting.principal
                    ORDER BY forgetting.generation LIMIT ?
                    """)
            return try Row.fetchAll(statement, arguments: [limit]).compactMap { row in
                guard let scope = Scope(principal: row[1], session: row[2], name: row[3])
                else { return nil }
                return try Self.work(db, scope: scope, session: row[0])
            }
        }
    }

    public func completeForget(_ work: ForgetWork) async throws {
        try await database.write { db in
            guard let session = try SessionRecord.find(db, work.scope) else { return }
            // Forgotten once more meanwhile: that work is not done by this.
            let statement = try db.cachedStatement(
                sql: "DELETE FROM forgetting WHERE session = ? AND generation = ?")
            try statement.execute(arguments: [session.id, work.generation])
            guard db.changesCount > 0 else { return }
            try db.cachedStatement(sql: "DELETE FROM forgotten_row WHERE session = ?")
                .execute(arguments: [session.id])
            // What was recalled while the rows were going may be in a cache.
            try PrincipalRecord.bumpArchiveGeneration(db, id: session.principal)
        } afterwards: { [resident] _ in
            resident.changed(work.scope.principal)
        }
    }

    /// Sessions of a principal whose rows may still be there, and the generation from which on rows may be shown.
    static func forgetting(_ db: Database, principal: Int64) throws -> [Digest128: Int64] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT session.digest, forgetting.generation
                FROM forgetting JOIN session ON session.id = forgetting.session WHERE forgetting.principal = ?
                """)
        return try Row.fetchAll(statement, arguments: [principal]).reduce(into: [:]) { found, row in
            if let digest = Digest128(bytes: row[0] as Data) { found[digest] = row[1] }
        }
    }

    /// True where the claim's session was forgotten since. Its holder has reported then, and writes nothing more after
    /// this, so forgetting need not wait for the claim's end.
    static func wasForgotten(_ db: Database, _ claim: ArchiveClaim) throws -> Bool {
        guard let session = try SessionRecord.find(db, claim.plan.scope),
            session.checkpoint.generation > claim.plan.generation
        else { return false }
        try db.cachedStatement(sql: "UPDATE forgetting SET claims_until = 0 WHERE session = ?")
            .execute(arguments: [session.id])
        return true
    }

    private static func noteWork(_ db: Database, _ session: SessionRecord, claimsUntil: Int64) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO forgetting (session, principal, generation, claims_until) VALUES (?, ?, ?, ?)
                ON CONFLICT (session) DO UPDATE SET generation = excluded.generation,
                    claims_until = MAX(claims_until, excluded.claims_until)
                """
        ).execute(arguments: [session.id, session.principal, session.checkpoint.generation, claimsUntil])
        try db.cachedStatement(
            sql: """
                INSERT OR IGNORE INTO forgotten_row (session, row_id)
                SELECT session, row_id FROM written_row WHERE session = ?
                """
        ).execute(arguments: [session.id])
        try db.cachedStatement(sql: "DELETE FROM written_row WHERE session = ?")
            .execute(arguments: [session.id])
    }

    private static func work(_ db: Database, scope: Scope, session: Int64) throws -> ForgetWork {
        let statement = try db.cachedStatement(
            sql: "SELECT generation, claims_until FROM forgetting WHERE session = ?")
        guard let row = try Row.fetchOne(statement, arguments: [session]) else {
            throw DatabaseError(message: "a forgotten session must have a row in the table forgetting")
        }
        let rows = try db.cachedStatement(sql: "SELECT row_id FROM forgotten_row WHERE session = ?")
        return ForgetWork(
            scope: scope, generation: row[0], rows: try String.fetchAll(rows, arguments: [session]),
            claimsUntil: row[1])
    }
}

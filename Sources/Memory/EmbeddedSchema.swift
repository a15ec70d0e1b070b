/// The tables of the embedded stores and how older files become the current ones.
import GRDB

enum EmbeddedSchema {
    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("3") { db in
            try db.execute(sql: checkpointTables)
            try db.execute(sql: indexTables)
        }
        migrator.registerMigration("4") { db in
            try db.execute(sql: "ALTER TABLE session ADD COLUMN activated_skills TEXT NOT NULL DEFAULT ''")
        }
        return migrator
    }

    static func migrate(_ pool: DatabasePool, path: String) throws {
        let isLater = try pool.read { db in try migrator.hasBeenSuperseded(db) }
        guard !isLater else {
            throw StoreOpenError(
                path: path, problem: "another version of agentpool has written it",
                mend: "Use that version, or another data directory")
        }
        try migrator.migrate(pool)
    }

    /// The vector space that the file is tied to, after tying it where it has no rows.
    static func bind(_ db: Database, to embedding: EmbeddingSpace) throws -> EmbeddingSpace {
        let isEmpty = try Row.fetchOne(db, sql: "SELECT 1 FROM memory_row LIMIT 1") == nil
        if isEmpty {
            try db.execute(
                sql: "INSERT OR REPLACE INTO collection (id, model, dimension) VALUES (1, ?, ?)",
                arguments: [embedding.model, embedding.dimension])
            return embedding
        }
        guard let row = try Row.fetchOne(db, sql: "SELECT model, dimension FROM collection") else {
            return embedding
        }
        return EmbeddingSpace(model: row[0], dimension: row[1])
    }

    /// A turn's id is its session's in the upper and its sequence in the lower 32 bits: a session's turns lie
    /// side by side in one tree. A forgotten session keeps its row, without turns, as the tombstone of its generation.
    private static let checkpointTables = """
        CREATE TABLE principal (
            id INTEGER PRIMARY KEY,
            digest BLOB NOT NULL UNIQUE,
            archive_generation INTEGER NOT NULL DEFAULT 0
        );
        CREATE TABLE session (
            id INTEGER PRIMARY KEY,
            digest BLOB NOT NULL UNIQUE,
            principal INTEGER NOT NULL,
            name TEXT NOT NULL,
            generation INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            turn_count INTEGER NOT NULL,
            last_turn_id TEXT,
            last_turn_at INTEGER NOT NULL,
            active_agent TEXT NOT NULL,
            planned_through INTEGER NOT NULL,
            archived_first INTEGER NOT NULL,
            archived_through INTEGER NOT NULL,
            rolling_summary TEXT NOT NULL,
            expires_at INTEGER NOT NULL,
            due_at INTEGER
        );
        CREATE INDEX session_by_due ON session (due_at) WHERE due_at IS NOT NULL;
        CREATE INDEX session_by_end ON session (expires_at);
        CREATE INDEX session_with_fragment ON session (principal, last_turn_at) WHERE turn_count > archived_through;
        CREATE TABLE turn (
            id INTEGER PRIMARY KEY,
            session INTEGER NOT NULL GENERATED ALWAYS AS (id >> 32) VIRTUAL,
            sequence INTEGER NOT NULL GENERATED ALWAYS AS (id & 4294967295) VIRTUAL,
            turn_id TEXT NOT NULL,
            ending TEXT NOT NULL,
            request_digest TEXT,
            finished_at INTEGER NOT NULL,
            payload TEXT NOT NULL
        );
        CREATE UNIQUE INDEX turn_by_name ON turn (session, turn_id);
        CREATE INDEX turn_by_request ON turn (session, request_digest, finished_at) WHERE request_digest IS NOT NULL;
        CREATE TABLE plan (
            id INTEGER PRIMARY KEY,
            batch_id TEXT NOT NULL UNIQUE,
            session INTEGER NOT NULL,
            principal INTEGER NOT NULL,
            agent TEXT NOT NULL,
            first INTEGER NOT NULL,
            last INTEGER NOT NULL,
            generation INTEGER NOT NULL,
            claim_token TEXT,
            claim_until INTEGER NOT NULL DEFAULT 0,
            attempts INTEGER NOT NULL DEFAULT 0,
            next_attempt INTEGER NOT NULL DEFAULT 0,
            failure TEXT,
            parked INTEGER NOT NULL DEFAULT 0
        );
        CREATE INDEX plan_by_session ON plan (session, first);
        CREATE INDEX plan_by_attempt ON plan (parked, next_attempt);
        CREATE INDEX plan_parked ON plan (principal, last) WHERE parked;
        CREATE TABLE written_row (
            session INTEGER NOT NULL,
            batch_id TEXT NOT NULL,
            row_id TEXT NOT NULL,
            PRIMARY KEY (session, batch_id, row_id)
        ) WITHOUT ROWID;
        CREATE TABLE forgetting (
            session INTEGER PRIMARY KEY,
            principal INTEGER NOT NULL,
            generation INTEGER NOT NULL,
            claims_until INTEGER NOT NULL
        );
        CREATE INDEX forgetting_by_principal ON forgetting (principal);
        CREATE TABLE forgotten_row (
            session INTEGER NOT NULL,
            row_id TEXT NOT NULL,
            PRIMARY KEY (session, row_id)
        ) WITHOUT ROWID;
        """

    /// Vectors lie apart from texts, so that a search reads nothing else, and in a table with row ids, whose pages hold a
    /// vector whole. Terms are kept by principal: what others remember changes no ranking. Where they stand in a row, and how long
    /// its lines are, is written as `RowShape` and `TermPlace` say; the counts beside are what a search adds up.
    private static let indexTables = """
        CREATE TABLE collection (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            model TEXT NOT NULL,
            dimension INTEGER NOT NULL
        );
        CREATE TABLE memory_row (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            principal INTEGER NOT NULL,
            session BLOB NOT NULL,
            session_name TEXT NOT NULL,
            generation INTEGER NOT NULL,
            agent TEXT NOT NULL,
            first_turn INTEGER NOT NULL,
            last_turn INTEGER NOT NULL,
            time INTEGER NOT NULL,
            length INTEGER NOT NULL,
            lines INTEGER NOT NULL,
            passages INTEGER NOT NULL,
            passage_terms INTEGER NOT NULL,
            shape BLOB NOT NULL,
            summary TEXT NOT NULL,
            entities TEXT NOT NULL,
            text TEXT NOT NULL,
            terms TEXT NOT NULL
        );
        CREATE INDEX memory_row_by_owner ON memory_row (
            principal, session, generation, length, lines, passages, passage_terms);
        CREATE TABLE memory_vector (
            number INTEGER PRIMARY KEY,
            principal INTEGER NOT NULL,
            vector BLOB NOT NULL
        );
        CREATE INDEX memory_vector_by_owner ON memory_vector (principal);
        CREATE TABLE memory_term (
            principal INTEGER NOT NULL,
            term TEXT NOT NULL,
            number INTEGER NOT NULL,
            count INTEGER NOT NULL,
            length INTEGER NOT NULL,
            lines INTEGER NOT NULL,
            places BLOB NOT NULL,
            PRIMARY KEY (principal, term, number)
        ) WITHOUT ROWID;
        """
}

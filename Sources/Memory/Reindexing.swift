/// Rebuilds the vectors of memories for another embedding model, out of the texts that the rows keep.
import Foundation
import GRDB
import Logging
import Milvus

public enum Reindexing {
    /// Texts that the embedder is given at once.
    private static let batch = 64
    /// Rows that are read at once.
    private static let page = 1000

    public struct Refused: Error, Hashable, CustomStringConvertible {
        public var description: String
    }

    /// Copies a collection into one that belongs to the embedder's model, and is made where it is missing. May be repeated: rows
    /// are written under their ids. Rows of sessions that were forgotten are not in the second collection at the end; of those
    /// that are forgotten while it is copied, a run after the last worker has left the first collection takes them out.
    ///
    /// - Parameters:
    ///   - checkpoints: the pool's L2, which knows what was forgotten.
    ///   - progress: gets the number of rows copied so far.
    /// - Returns: that number at the end.
    /// - Throws: `Refused` where the collections can't be used so; else what the server or the embedder says.
    public static func copy(
        _ settings: MilvusSettings, from: String, to: String, embedder: Embedder,
        checkpoints: any CheckpointStore, logger: Logger, progress: (Int) -> Void
    ) async throws -> Int {
        guard from != to else {
            throw Refused(
                description:
                    "vectors of two models can't share a collection: name a new one in spec.memory.milvus.collection"
            )
        }
        let client = try MilvusClient(settings, logger: logger)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await client.run() }
            defer { tasks.cancelAll() }
            let source = try await client.openAny(from)
            let target = try await client.open(
                MemoryCollection(name: to, embeddingModel: embedder.model, dimension: embedder.dimension))
            var copied = 0
            var ranges = RowIDs.all
            while let range = ranges.popLast() {
                try Task.checkCancellation()
                let parts = range.parts
                let found = try await source.rows(in: range, limit: parts.isEmpty ? .max : page)
                if found.hasMore, !parts.isEmpty {
                    ranges += parts
                    continue
                }
                guard !found.hasMore else {
                    throw Refused(description: "the session \(range) has more rows than one answer holds")
                }
                try await write(found.rows, to: target, embedder: embedder)
                try await removeForgotten(in: range, of: target, checkpoints)
                copied += found.rows.count
                progress(copied)
            }
            return copied
        }
    }

    private static func write(_ rows: [MilvusRow], to target: MilvusCollection, embedder: Embedder)
        async throws
    {
        for start in stride(from: 0, to: rows.count, by: batch) {
            var some = Array(rows[start..<min(start + batch, rows.count)])
            let texts = some.map { row in
                BatchSummary(summary: row.summary, entities: TurnCoding.decodeTexts(row.entities))
                    .embeddedText
            }
            let vectors = try await embedder.embed(texts)
            guard vectors.count == some.count else { throw EmbedderMiscounted() }
            for index in some.indices { some[index].vector = vectors[index] }
            try await target.upsert(some)
        }
    }

    /// Looks after the rows were written, at what earlier runs have written too: whatever L2 calls forgotten goes.
    private static func removeForgotten(
        in range: RowIDs, of target: MilvusCollection, _ checkpoints: any CheckpointStore
    ) async throws {
        let rows = try await target.rows(in: range, limit: .max).rows
        for (session, rows) in Dictionary(grouping: rows, by: \.session) {
            guard let principal = rows.first?.principal,
                let scope = Digest128(hexadecimal: principal).flatMap({ principal in
                    Digest128(hexadecimal: session).map {
                        Scope(principal: principal, session: $0, sessionID: "")
                    }
                })
            else { continue }
            let generation = try await checkpoints.load(scope, contextLimit: 0).generation
            let gone = rows.filter { $0.generation < generation }
            if !gone.isEmpty { try await target.delete(principal: principal, ids: gone.map(\.id)) }
        }
    }

    /// Rebuilds the vectors of an embedded store in its file, which no worker may have open. Where it breaks off, the file is as
    /// it was, and the next call goes on.
    ///
    /// - Parameter progress: gets the number of rows embedded so far.
    /// - Returns: how many rows there are.
    /// - Throws: `StoreOpenError`, or what the embedder says.
    public static func rebuild(
        directory: String, embedder: Embedder, logger: Logger, progress: (Int) -> Void
    ) async throws -> Int {
        let database = try EmbeddedDatabase(directory: directory, logger: logger)
        let rebuild = EmbeddedRebuild(database: database, space: embedder.space)
        do {
            try await rebuild.begin()
            var count = 0
            while case let rows = try await rebuild.next(limit: batch), !rows.isEmpty {
                let vectors = try await embedder.embed(rows.map(\.text))
                guard vectors.count == rows.count else { throw EmbedderMiscounted() }
                try await rebuild.keep(rows, vectors)
                count += rows.count
                progress(count)
            }
            let total = try await rebuild.finish()
            await database.close()
            return total
        } catch {
            await database.close()
            throw error
        }
    }

    private struct EmbedderMiscounted: Error, CustomStringConvertible {
        var description: String { "the embedder returned another number of vectors than it was given texts" }
    }
}

/// New vectors of an embedded store, gathered beside the old ones and put in their place in one step.
private struct EmbeddedRebuild {
    struct Row {
        var number: Int64
        var text: String
    }

    let database: EmbeddedDatabase
    let space: EmbeddingSpace

    /// Vectors that an earlier attempt gathered for another model are of no use.
    func begin() async throws {
        try await database.write { [space] db in
            try db.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS rebuilt_vector (number INTEGER PRIMARY KEY, model TEXT NOT NULL, vector BLOB NOT NULL)
                    """)
            try db.execute(sql: "DELETE FROM rebuilt_vector WHERE model <> ?", arguments: [Self.name(space)])
        }
    }

    func next(limit: Int) async throws -> [Row] {
        try await database.read { db in
            let rows = try GRDB.Row.fetchAll(
                db,
                sql: """
                    SELECT number, summary, entities FROM memory_row
                    WHERE number NOT IN (SELECT number FROM rebuilt_vector) ORDER BY number LIMIT ?
                    """, arguments: [limit])
            return rows.map { row in
                let summary = BatchSummary(summary: row[1], entities: TurnCoding.decodeTexts(row[2]))
                return Row(number: row[0], text: summary.embeddedText)
            }
        }
    }

    func keep(_ rows: [Row], _ vectors: [[Float]]) async throws {
        for vector in vectors where vector.count != space.dimension {
            throw DatabaseError(
                message: "a vector has \(vector.count) dimensions, not \(space.dimension)")
        }
        try await database.write { [space] db in
            for (row, vector) in zip(rows, vectors) {
                try db.execute(
                    sql: "INSERT OR REPLACE INTO rebuilt_vector (number, model, vector) VALUES (?, ?, ?)",
                    arguments: [row.number, Self.name(space), vector.withUnsafeBytes { Data($0) }])
            }
        }
    }

    func finish() async throws -> Int {
        try await database.write { [space] db in
            try db.execute(
                sql: """
                    UPDATE memory_vector SET vector = (SELECT vector FROM rebuilt_vector AS new WHERE new.number = memory_vector.number)
                    """)
            try db.execute(
                sql: "INSERT OR REPLACE INTO collection (id, model, dimension) VALUES (1, ?, ?)",
                arguments: [space.model, space.dimension])
            try db.execute(sql: "DROP TABLE rebuilt_vector")
            return try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM memory_row") ?? 0
        }
    }

    private static func name(_ space: EmbeddingSpace) -> String { "\(space.model)/\(space.dimension)" }
}

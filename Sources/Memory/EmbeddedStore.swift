/// Opens the embedded stores of L2 and L3: one SQLite file in a directory, for one process at a time.
import Foundation
import GRDB
import Logging

/// Sessions and memories on this machine, without a server. Durable: a write that returned has reached the disk.
public final class EmbeddedStore: Sendable {
    public let checkpoints: EmbeddedCheckpoints
    public let index: EmbeddedIndex
    /// The SQLite file.
    public var path: String { database.path }
    private let database: EmbeddedDatabase

    private init(database: EmbeddedDatabase, embedding: EmbeddingSpace) {
        self.database = database
        checkpoints = EmbeddedCheckpoints(database: database)
        index = EmbeddedIndex(database: database, embedding: embedding)
    }

    /// Opens or creates `memory.sqlite` in `directory`, which is created where it is missing.
    ///
    /// Fails where another process has it open, where it was written by another version, and where it holds memories of
    /// another embedding model.
    public static func open(
        directory: String, embedding: EmbeddingSpace, logger: Logger
    ) throws(StoreOpenError) -> EmbeddedStore {
        let database = try EmbeddedDatabase(directory: directory, logger: logger)
        try database.bind(to: embedding)
        return EmbeddedStore(database: database, embedding: embedding)
    }

    /// Waits for the writes in flight, then gives the file and its lock back. Calls after it fail.
    public func close() async {
        await database.close()
    }
}

/// Why an embedded store could not be opened: names the file, what is wrong with it, and the mend.
public struct StoreOpenError: Error, Hashable, Sendable, CustomStringConvertible {
    public var path: String
    public var problem: String
    public var mend: String

    public init(path: String, problem: String, mend: String) {
        self.path = path
        self.problem = problem
        self.mend = mend
    }

    public var description: String { "\(path): \(problem). \(mend)" }
}

/// The open file that both embedded stores share: readers side by side, writes in groups, and the lock.
final class EmbeddedDatabase: Sendable {
    let path: String
    let writer: GroupWriter
    private let pool: DatabasePool
    private let lock: FileLock
    private let logger: Logger

    init(directory: String, logger: Logger) throws(StoreOpenError) {
        path = directory + "/memory.sqlite"
        self.logger = logger
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw StoreOpenError(
                path: directory, problem: "the directory can't be created: \(error.localizedDescription)",
                mend: "Name a directory that this user may write to")
        }
        lock = try FileLock(path: path + ".lock", guarding: path)
        do {
            pool = try DatabasePool(path: path, configuration: Self.configuration)
            // The pool turns durability down to NORMAL when it switches to WAL: then a power cut could take
            // back acknowledged turns.
            try pool.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA synchronous = FULL")
            }
            try EmbeddedSchema.migrate(pool, path: path)
            // This process holds the file's lock, so whoever had claimed a batch is gone.
            try pool.write { db in
                try db.execute(sql: "UPDATE plan SET claim_token = NULL, claim_until = 0")
                try db.execute(sql: "UPDATE forgetting SET claims_until = 0")
            }
        } catch let error as StoreOpenError {
            throw error
        } catch {
            throw StoreOpenError(
                path: path, problem: "the file can't be opened: \(error)",
                mend: "Put back a copy of it, or move it away to begin with an empty memory")
        }
        writer = GroupWriter(pool: pool)
    }

    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.label = "memory"
        configuration.maximumReaderCount = 4
        configuration.busyMode = .timeout(5)
        configuration.foreignKeysEnabled = false
        configuration.prepareDatabase { db in
            // What is forgotten is overwritten, not only unlinked.
            try db.execute(sql: "PRAGMA secure_delete = ON")
            try db.execute(sql: "PRAGMA cache_size = -16384")
            // A commit empties the readers' page caches. Mapped pages need no refilling: without this a recall would
            // allocate and read again every page that it looks at.
            try db.execute(sql: "PRAGMA mmap_size = 268435456")
        }
        return configuration
    }

    func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        try await pool.read(body)
    }

    /// - Parameter afterwards: called when it is in the file, also where nobody waits any more; with nil where it failed.
    func write<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value,
        afterwards: @escaping @Sendable (Value?) -> Void = { _ in }
    ) async throws -> Value {
        try await writer.write(body, afterwards: afterwards)
    }

    /// Ties the file to one vector space; an index without rows may be tied anew.
    func bind(to embedding: EmbeddingSpace) throws(StoreOpenError) {
        do {
            let bound = try pool.write { db in try EmbeddedSchema.bind(db, to: embedding) }
            guard bound != embedding else { return }
            throw StoreOpenError(
                path: path,
                problem: "its memories belong to the embedding model \(bound.model) with \(bound.dimension) "
                    + "dimensions, and the configuration names \(embedding.model) with \(embedding.dimension)",
                mend:
                    "Name that model again, or run `agentpool reindex -f` with the manifest while no worker has the file"
            )
        } catch let error as StoreOpenError {
            throw error
        } catch {
            throw StoreOpenError(
                path: path, problem: "the file can't be read: \(error)", mend: "Put back a copy of it")
        }
    }

    func close() async {
        guard await writer.close() else { return }
        do {
            try await pool.barrierWriteWithoutTransaction { _ in }
            try pool.close()
        } catch {
            logger.warning("memory file not closed cleanly", metadata: ["error": "\(error)"])
        }
        lock.release()
    }
}

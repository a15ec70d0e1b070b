import Foundation
import GRDB
import Testing

@testable import Memory

@Suite(.enabled(if: TestStores.current.isEmbedded)) struct EmbeddedStoreTests {
    private let scope = Scope.of("ann", "s")

    @Test("What was acknowledged is there after a kill, and the session goes on from it") func survivesKill()
        async throws
    {
        let test = try TestMemory()
        for number in 1...13 { try await test.turn(scope, "turn \(number)") }
        let after = try test.reopenedAfterKill()
        let held = try await after.memory.open(scope)
        #expect(held.tier == .l2 && held.view.context.map(\.turn.said) == (1...13).map { "turn \($0)" })
        held.end()
        #expect(try await after.turn(scope, "turn 14").sequence == 14)
        #expect(try await after.rows(scope).count == 1)
    }

    @Test("It survives being closed and opened again") func reopened() async throws {
        let directory = try TemporaryDirectory()
        let first = try TestMemory(directory: directory)
        try await first.turn(scope, "hello")
        await first.memory.close()
        let second = try TestMemory(directory: directory)
        #expect(try await second.memory.history(scope, limit: 10).map(\.turn.said) == ["hello"])
        await second.memory.close()
    }

    @Test("A commit waits for the disk: WAL with full synchronisation") func synchronous() async throws {
        let test = try TestMemory()
        let mode = try await test.store.write { db in
            (
                try String.fetchOne(db, sql: "PRAGMA journal_mode"),
                try Int.fetchOne(db, sql: "PRAGMA synchronous")
            )
        }
        #expect(mode.0 == "wal" && mode.1 == 2)
    }

    @Test("The file is opened once at a time, and the error says which file and what to do") func locked()
        throws
    {
        let directory = try TemporaryDirectory()
        let first = try TestMemory(directory: directory)
        let error = #expect(throws: StoreOpenError.self) { try TestMemory(directory: directory) }
        #expect(error?.description.contains(first.store.path) == true)
        #expect(error?.mend.contains("Stop that process") == true)
    }

    @Test("A closed store gives its lock back") func unlocked() async throws {
        let directory = try TemporaryDirectory()
        let first = try TestMemory(directory: directory)
        await first.store.close()
        let second = try TestMemory(directory: directory)
        await second.store.close()
    }

    @Test(
        "Memories of another model are refused by an error that names both and the mend; an empty file is not"
    )
    func otherModel() async throws {
        let directory = try TemporaryDirectory()
        let first = try TestMemory(directory: directory, configuration: .patient.with { $0.bufferRounds = 1 })
        await first.store.close()
        let other = Embedder(model: "other", dimension: 8) { texts in
            texts.map { _ in [1, 0, 0, 0, 0, 0, 0, 0] }
        }
        let second = try TestMemory(
            directory: directory, configuration: .patient.with { $0.bufferRounds = 1 }, embedder: other)
        try await second.turn(scope, "hello")
        await second.store.close()
        let error = #expect(throws: StoreOpenError.self) { try TestMemory(directory: directory) }
        for part in ["other", "8", "test", "256", "agentpool reindex", directory.path] {
            #expect(error?.description.contains(part) == true, "\(part) is not named")
        }
    }

    @Test("A file that another version wrote is refused") func laterVersion() async throws {
        let directory = try TemporaryDirectory()
        let first = try TestMemory(directory: directory)
        try await first.store.write { db in
            try db.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('999')")
        }
        await first.store.close()
        let error = #expect(throws: StoreOpenError.self) { try TestMemory(directory: directory) }
        #expect(error?.problem.contains("another version") == true)
    }

    @Test("A file that is no database is refused by name") func garbage() throws {
        let directory = try TemporaryDirectory()
        try Data(repeating: 0x41, count: 8192).write(to: URL(filePath: directory.path + "/memory.sqlite"))
        let error = #expect(throws: StoreOpenError.self) { try TestMemory(directory: directory) }
        #expect(error?.path == directory.path + "/memory.sqlite")
    }

    @Test("A directory that can't be made is refused by name") func noDirectory() {
        let error = #expect(throws: StoreOpenError.self) {
            try EmbeddedStore.open(
                directory: "/dev/null/x", embedding: TestModel.embedder.space, logger: .quiet)
        }
        #expect(error?.path == "/dev/null/x")
    }

    @Test("One failing write of a group fails alone; the others are stored") func failsAlone() async throws {
        struct Refused: Error {}
        let test = try TestMemory()
        let store = test.store
        try await store.write { try $0.execute(sql: "CREATE TABLE probe (number INTEGER)") }
        let failures = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<200 {
                group.addTask {
                    do {
                        try await store.write { db in
                            try db.execute(sql: "INSERT INTO probe VALUES (?)", arguments: [number])
                            if number % 7 == 0 { throw Refused() }
                        }
                        return false
                    } catch { return error is Refused }
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(failures == 29)
        #expect(try await store.count("probe") == 200 - 29)
    }

    @Test("Writes that wait for the disk together share its flushes") func grouped() async throws {
        let test = try TestMemory()
        let store = test.store
        let transactions = Counter()
        try await store.write { db in
            db.add(transactionObserver: CommitObserver(transactions), extent: .databaseLifetime)
            try db.execute(sql: "CREATE TABLE probe (number INTEGER)")
        }
        let before = transactions.count
        try await withThrowingTaskGroup(of: Void.self) { group in
            // The first holds the writer while the others queue.
            group.addTask { try await store.write { _ in Thread.sleep(forTimeInterval: 0.3) } }
            for _ in 0..<100 {
                group.addTask {
                    try await store.write { try $0.execute(sql: "INSERT INTO probe VALUES (1)") }
                }
            }
            try await group.waitForAll()
        }
        #expect(transactions.count - before < 50)
        #expect(try await store.count("probe") == 100)
    }

    @Test("A write is acknowledged after its transaction, not before") func acknowledgedAfterCommit()
        async throws
    {
        let test = try TestMemory()
        try await test.store.write { try $0.execute(sql: "CREATE TABLE probe (number INTEGER)") }
        for number in 1...50 {
            try await test.store.write { try $0.execute(sql: "INSERT INTO probe VALUES (1)") }
            #expect(try await test.store.count("probe") == number, "another connection does not see it")
        }
    }

    @Test("A cancelled write returns, and writes to a closed store are refused") func cancelledAndClosed()
        async throws
    {
        let test = try TestMemory()
        let store = test.store
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                try? await store.write { _ in Thread.sleep(forTimeInterval: 0.1) }; return true
            }
            group.cancelAll()
            #expect(await group.next() == true)
        }
        await store.close()
        await #expect(throws: (any Error).self) { try await store.write { _ in } }
    }

    @Test("A transaction that can't be committed fails all its writes, and none is stored")
    func failedCommit() async throws {
        let test = try TestMemory()
        let held = try await test.memory.open(scope)
        _ = try await held.commit(.said("one"))
        try await test.store.write { db in
            try db.execute(sql: "PRAGMA max_page_count = 1")
        }
        let large = String(repeating: "x", count: 4_000_000)
        await #expect(throws: MemoryError.self) { try await held.commit(.said(large)) }
        held.end()
        try await test.store.write { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
        #expect(try await test.turn(scope, "two").sequence == 2)
        #expect(try await test.memory.history(scope, limit: 10).map(\.turn.said) == ["one", "two"])
    }

    @Test("Rows written twice under one id are one row, with the later words only") func upsert() async throws
    {
        let test = try TestMemory()
        var row = MemoryRow.named("batch")
        let search = { (text: String) in
            try await test.store.index.search(
                .of("ann", "s"), IndexQuery(vector: nil, text: text, limit: 5)
            ).hits.map(\.row.id)
        }
        row.text = "lemons"
        try await test.store.index.upsert([IndexEntry(row: row, vector: TestModel.vector("lemons"))])
        row.text = "limes"
        try await test.store.index.upsert([IndexEntry(row: row, vector: TestModel.vector("limes"))])
        #expect(try await search("limes") == ["batch"])
        #expect(try await search("lemons") == [])
        #expect(try await test.store.count("memory_vector") == 1)
    }

    @Test("A vector of another length is refused") func wrongDimension() async throws {
        let test = try TestMemory()
        await #expect(throws: (any Error).self) {
            try await test.store.index.upsert([IndexEntry(row: .named("x"), vector: [1, 0])])
        }
    }

    @Test("Ids and texts of any characters are kept as they are") func anyCharacters() async throws {
        let test = try TestMemory()
        let odd = "{a}'\";--\n🦊%_\\"
        let scope = Scope.of(odd, odd)
        try await test.turn(scope, odd, id: "{a}'\";--🦊")
        let after = try test.reopenedAfterKill()
        let stored = try await after.memory.history(scope, limit: 10)
        #expect(stored.map(\.turn.said) == [odd] && stored.map(\.turn.id.value) == ["{a}'\";--🦊"])
        #expect(
            await after.memory.recall(RecallQuery(scope: .of(odd, "x"), text: "a")).memories.first?.session
                == odd)
    }

    @Test("A NUL in a text takes nothing of the text away") func nul() async throws {
        let test = try TestMemory(configuration: .patient.with { $0.bufferRounds = 1 })
        try await test.turn(.of("a\0b", "s\0t"), "before\0after")
        #expect(
            try await test.memory.history(.of("a\0b", "s\0t"), limit: 1).first?.turn.said == "before\0after")
        let found = await test.memory.recall(RecallQuery(scope: .of("a\0b", "x"), text: "after"))
        #expect(found.memories.first?.text == "before\u{FFFD}after")
        #expect(await test.memory.recall(RecallQuery(scope: .of("a", "x"), text: "after")).memories.isEmpty)
    }
}

extension EmbeddedStore {
    func write<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value
    {
        try await checkpoints.database.write(body)
    }

    func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        try await checkpoints.database.read(body)
    }

    func count(_ table: String) async throws -> Int {
        try await checkpoints.database.read {
            try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM \(table)") ?? 0
        }
    }

    /// Cells of any table that hold the text.
    func occurrences(of text: String) async throws -> Int {
        try await checkpoints.database.read { db in
            let tables = try String.fetchAll(db, sql: "SELECT name FROM sqlite_master WHERE type = 'table'")
            return try tables.reduce(0) { sum, table in
                let columns = try db.columns(in: table).map { "\"\($0.name)\" LIKE ?1" }
                let sql = "SELECT COUNT(*) FROM \"\(table)\" WHERE \(columns.joined(separator: " OR "))"
                return try sum + (Int.fetchOne(db, sql: sql, arguments: ["%\(text)%"]) ?? 0)
            }
        }
    }
}

private final class CommitObserver: TransactionObserver {
    private let counter: Counter
    init(_ counter: Counter) { self.counter = counter }
    func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool { true }
    func databaseDidChange(with event: DatabaseEvent) {}
    func databaseDidCommit(_ db: Database) { counter.add() }
    func databaseDidRollback(_ db: Database) {}
}

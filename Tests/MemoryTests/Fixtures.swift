/// What the memory's tests share: a clock that tests drive, a model that needs no network, and a store in a directory of its own.
import Foundation
import Logging
import Synchronization
import Testing

@testable import Memory

/// Milliseconds since 1970, moved by the test alone.
final class TestClock: Sendable {
    private let time = Atomic<Int64>(1_800_000_000_000)

    var now: Int64 { time.load(ordering: .sequentiallyConsistent) }

    func advance(_ duration: Duration) {
        time.add(duration.milliseconds, ordering: .sequentiallyConsistent)
    }

    /// For `SessionMemory`: each reading is a millisecond later, so that turns have an order in time.
    var tick: @Sendable () -> Int64 {
        { self.time.add(1, ordering: .sequentiallyConsistent).newValue }
    }
}

enum TestModel {
    static let dimension = 256

    /// Words hashed into a vector: texts with common words are similar.
    static let embedder = Embedder(model: "test", dimension: dimension) { texts in texts.map(vector) }

    static func vector(_ text: String) -> [Float] {
        var vector = [Float](repeating: 0, count: dimension)
        for term in Tokenizer.terms(text) {
            let hash = term.utf8.reduce(UInt64(1_469_598_103_934_665_603)) {
                ($0 ^ UInt64($1)) &* 1_099_511_628_211
            }
            vector[Int((hash ^ (hash >> 29)) % UInt64(dimension))] += 1
        }
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return length > 0 ? vector.map { $0 / length } : vector
    }

    /// The users' messages, joined.
    static let summarize: Summarizer = { request in
        let said = request.turns.map { $0.turn.messages.first?.content ?? "" }
        return BatchSummary(summary: said.joined(separator: "; "), entities: ["test"])
    }
}

/// A directory that goes with the test.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "memory-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        // Left to the system's own cleaning where it fails: a test must not fail for it.
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// A memory over embedded stores, and what a test needs to look behind it.
struct TestMemory {
    let memory: SessionMemory
    /// L3, and L2 unless the tests run on another.
    let store: EmbeddedStore
    let l2: any CheckpointStore
    let clock: TestClock
    let directory: TemporaryDirectory
    let configuration: MemoryConfiguration

    /// `decorate` puts other stores before the embedded ones.
    init(
        directory: TemporaryDirectory? = nil, sharing other: TestMemory? = nil, clock: TestClock = .init(),
        configuration: MemoryConfiguration = .patient, embedder: Embedder = TestModel.embedder,
        pool: String = UUID().uuidString,
        checkpoints: (any CheckpointStore) -> any CheckpointStore = { $0 },
        index: (any MemoryIndex) -> any MemoryIndex = { $0 }
    ) throws {
        self.directory = try other?.directory ?? directory ?? TemporaryDirectory()
        self.clock = clock
        self.configuration = configuration
        store =
            try other?.store
            ?? EmbeddedStore.open(directory: self.directory.path, embedding: embedder.space, logger: .quiet)
        l2 =
            other?.l2
            ?? TestStores.current.checkpoints(store, configuration: configuration, clock: clock, pool: pool)
        memory = SessionMemory(
            checkpoints: checkpoints(l2), index: index(store.index), embedder: embedder,
            configuration: configuration, logger: .quiet, now: clock.tick)
    }

    /// The files as they are at this moment, opened elsewhere: what a process finds that was started after a SIGKILL.
    func reopenedAfterKill(configuration: MemoryConfiguration? = nil) throws -> TestMemory {
        if !TestStores.current.isEmbedded {
            // The stores go on; what the dead process had claimed is its own until the claim's time is over.
            clock.advance(self.configuration.claimDuration + .seconds(1))
            return try TestMemory(
                sharing: self, clock: clock, configuration: configuration ?? self.configuration)
        }
        let copy = try TemporaryDirectory()
        for name in ["memory.sqlite", "memory.sqlite-wal"]
        where FileManager.default.fileExists(
            atPath: directory.path + "/" + name)
        {
            try FileManager.default.copyItem(
                atPath: directory.path + "/" + name, toPath: copy.path + "/" + name)
        }
        return try TestMemory(
            directory: copy, clock: clock, configuration: configuration ?? self.configuration)
    }

    /// Takes one turn: opens, commits, archives what is due.
    @discardableResult
    func turn(
        _ scope: Scope, _ said: String, id: String? = nil, ending: Turn.Ending = .complete,
        archive: Bool = true,
        summarize: @escaping Summarizer = TestModel.summarize
    ) async throws -> CommitOutcome {
        let held = try await memory.open(scope)
        let outcome: CommitOutcome
        do {
            defer { held.end() }
            outcome = try await held.commit(.said(said, id: id, ending: ending, at: clock.tick()))
        }
        if archive, let plan = outcome.plan { await memory.archive(plan, summarize: summarize) }
        return outcome
    }

    /// Returns when L1 may be believed: a store that others share must first hear of them.
    func settled() async throws {
        while memory.checkpoints.otherWriters == .unheard { try await Task.sleep(for: .milliseconds(5)) }
    }

    func maintainUntilDone(summarize: @escaping Summarizer = TestModel.summarize) async {
        while await memory.maintain(summarize: summarize) {}
    }

    func rows(_ scope: Scope) async throws -> [String] {
        try await store.index.remaining(scope, before: .max, rows: [])
    }
}

extension MemoryConfiguration {
    /// Deadlines that only a hanging operation meets: what they cut off has tests of its own.
    static var patient: MemoryConfiguration {
        MemoryConfiguration(
            commitDeadline: .seconds(120), loadDeadline: .seconds(120),
            recall: RecallSettings(deadline: .seconds(120), embeddingDeadline: .seconds(120)))
    }

    func with(_ change: (inout MemoryConfiguration) -> Void) -> MemoryConfiguration {
        var copy = self
        change(&copy)
        return copy
    }
}

extension Logger {
    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

extension Scope {
    static func of(_ user: String?, _ session: String, credential: String = "shop") -> Scope {
        Scope(
            principal: Principal(pool: "default/test", credential: credential, endUser: user),
            sessionID: session)
    }
}

extension Turn {
    static func said(
        _ text: String, id: String? = nil, ending: Ending = .complete, at time: Int64 = 0,
        digest: String? = nil
    ) -> Turn {
        Turn(
            id: id.flatMap { TurnID($0) } ?? .mint(),
            messages: [
                Message(role: .user, content: text), Message(role: .assistant, content: "I heard: \(text)"),
            ], agent: "assistant", ending: ending, startedAt: time, finishedAt: time, requestDigest: digest)
    }

    var said: String { messages.first?.content ?? "" }
}

final class Counter: Sendable {
    private let value = Atomic<Int>(0)
    var count: Int { value.load(ordering: .sequentiallyConsistent) }
    func add() { value.add(1, ordering: .sequentiallyConsistent) }
}

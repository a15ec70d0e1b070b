/// What the workers of a pool tell each other on Redis: whose a session is, what its turn has told, and how each of them fares.
import Foundation
import NIOPosix
import Synchronization
import Testing

@testable import Memory

@Suite(.enabled(if: !TestStores.current.isEmbedded)) struct LiveSessionTests {
    /// Workers of one pool, without their memories.
    private final class Workers: Sendable {
        let stores: [RedisCheckpoints]
        let kept: [any CheckpointStore]
        let memory: TestMemory

        init(_ count: Int) async throws {
            let pool = UUID().uuidString
            let memory = try TestMemory(configuration: .patient)
            self.memory = memory
            kept = (0..<count).map { _ in
                TestStores.current.checkpoints(
                    memory.store, configuration: .patient, clock: memory.clock, pool: pool)
            }
            stores = try kept.map { try #require(($0 as? RunningRedis)?.base as? RedisCheckpoints) }
        }

        func live(_ index: Int, maxEventBytes: Int = 1 << 20) -> RedisLive {
            stores[index].live(
                LivePolicy(retention: 60_000, ownership: 60_000, maxEventBytes: maxEventBytes))
        }
    }

    private let scope = Scope.of("ann", "s")
    private let turn = TurnID.mint()

    @Test("A session is the first one's who takes it, and another's who has seen that one go") func taking()
        async throws
    {
        let workers = try await Workers(3)
        let (a, b, c) = (workers.live(0), workers.live(1), workers.live(2))
        #expect(try await a.take(scope, from: nil, turn: nil) == a.worker)
        #expect(try await b.take(scope, from: nil, turn: nil) == a.worker)
        #expect(try await b.take(scope, from: a.worker, turn: nil) == b.worker)
        #expect(try await c.take(scope, from: a.worker, turn: nil) == b.worker)
        #expect(try await c.session(scope) == LiveSession(owner: b.worker))
        #expect(try await c.session(.of("ann", "other")) == LiveSession())
    }

    @Test("A turn's step is refused where another worker has the session by now, and takes it where none has")
    func ownedSteps() async throws {
        let workers = try await Workers(3)
        let (a, b) = (workers.live(0), workers.live(1))
        func step(_ index: Int, after seen: String?) async throws -> String {
            let request = CommitRequest(
                scope: scope, turn: .said("asked", id: "t", ending: .running), known: Checkpoint(),
                policy: MemoryConfiguration.patient.policy, now: 1,
                ownership: SessionOwnership(seen: seen, length: .seconds(60)))
            switch try await workers.kept[index].commit(request) {
            case .applied: return "applied"
            case .elsewhere(let owner): return owner
            default: return "something else"
            }
        }
        #expect(try await step(0, after: nil) == "applied")
        #expect(try await b.session(scope) == LiveSession(owner: a.worker))
        #expect(try await step(1, after: nil) == a.worker)
        #expect(try await step(1, after: a.worker) == "applied")
        #expect(try await step(0, after: nil) == b.worker)
        #expect(try await step(2, after: a.worker) == b.worker)
        #expect(try await step(1, after: nil) == "applied")
    }

    @Test("Opening a session names its owner, and gives no content where that one serves it") func opening()
        async throws
    {
        let workers = try await Workers(2)
        let (a, b) = (workers.live(0), workers.live(1))
        _ = try await a.take(scope, from: nil, turn: (turn, 1, [7]))
        let expected = LiveSession(owner: a.worker, turn: turn, attempt: 1)
        guard
            case .elsewhere(let owner) = try await workers.stores[1].open(
                scope, contextLimit: 4, others: ["nobody", a.worker])
        else {
            Issue.record("the session is another's")
            return
        }
        #expect(owner == expected)
        guard
            case .here(let view, let live) = try await workers.stores[1].open(
                scope, contextLimit: 4, others: [b.worker])
        else {
            Issue.record("nobody who was named has the session")
            return
        }
        #expect(view.turnCount == 0 && live == expected)
    }

    @Test("A turn's events are kept in order until it has ended, and its request until then") func events()
        async throws
    {
        let workers = try await Workers(2)
        let (a, b) = (workers.live(0), workers.live(1))
        _ = try await a.take(scope, from: nil, turn: (turn, 1, [7, 0, 255]))
        #expect(try await a.add([1, 0], to: turn, attempt: 1, of: scope, hasEnded: false))
        #expect(try await a.add([2], to: turn, attempt: 1, of: scope, hasEnded: false))
        var log = try await b.turn(of: scope)
        #expect(log.events == [[1, 0], [2]] && log.request == [7, 0, 255])
        #expect(log.session.unfinishedTurn == turn)
        #expect(try await a.add([3], to: turn, attempt: 1, of: scope, hasEnded: true))
        log = try await b.turn(of: scope)
        #expect(log.events == [[1, 0], [2], [3]] && log.request == nil)
        #expect(log.session.unfinishedTurn == nil && log.session.turn == turn)
    }

    @Test(
        "What an attempt tells after another has begun is not kept, nor what is told of a forgotten session")
    func voided() async throws {
        let workers = try await Workers(2)
        let (a, b) = (workers.live(0), workers.live(1))
        _ = try await a.take(scope, from: nil, turn: (turn, 1, [7]))
        _ = try await b.take(scope, from: a.worker, turn: (turn, 2, [7]))
        #expect(try await !a.add([1], to: turn, attempt: 1, of: scope, hasEnded: true))
        #expect(try await b.add([2], to: turn, attempt: 2, of: scope, hasEnded: false))
        _ = try await workers.stores[0].forget(
            scope, policy: workers.memory.memory.policy, now: workers.memory.clock.now)
        #expect(try await !b.add([3], to: turn, attempt: 2, of: scope, hasEnded: true))
        let log = try await a.turn(of: scope)
        #expect(log.session == LiveSession() && log.events.isEmpty && log.request == nil)
    }

    @Test("Of a session's events the oldest go where there are too many bytes") func bounded() async throws {
        let workers = try await Workers(1)
        let live = workers.live(0, maxEventBytes: 10)
        _ = try await live.take(scope, from: nil, turn: (turn, 1, [7]))
        for byte in 1...5 {
            _ = try await live.add(
                [UInt8](repeating: UInt8(byte), count: 4), to: turn, attempt: 1, of: scope, hasEnded: false)
        }
        #expect(try await workers.live(0).turn(of: scope).events.map { $0[0] } == [4, 5])
    }

    @Test("Every worker hears what the others report, by the store's clock, under one key") func reports()
        async throws
    {
        let workers = try await Workers(2)
        func report(_ live: RedisLive, _ sessions: Int) -> WorkerReport {
            WorkerReport(
                worker: live.worker, pod: "pod", address: "127.0.0.1:1", activeSessions: sessions,
                runningTurns: 1, pendingRequests: 2, isDraining: false)
        }
        // All tests of the suite share two cores with the servers.
        func exchange(_ live: RedisLive, _ own: WorkerReport) async throws -> PoolReports {
            try await live.exchange(own, deadline: .seconds(60))
        }
        let (a, b) = (workers.live(0), workers.live(1))
        let first = try await exchange(a, report(a, 3))
        let second = try await exchange(b, report(b, 4))
        #expect(first.entries.map(\.report) == [report(a, 3)])
        #expect(Set(second.entries.map(\.report)) == [report(a, 3), report(b, 4)])
        #expect(second.entries.allSatisfy { $0.age < .seconds(60) })
        #expect(first.key == second.key && first.key.count > 20)
        #expect(try await exchange(a, report(a, 5)).entries.map(\.report.activeSessions).sorted() == [4, 5])
        try await a.withdraw()
        #expect(try await exchange(b, report(b, 4)).entries.map(\.report) == [report(b, 4)])
    }

    @Test("A session counts as active where its last turn was, not where it was before") func counted()
        async throws
    {
        let pool = UUID().uuidString
        let memory = try TestMemory(configuration: .patient, pool: pool)
        let other = SessionMemory(
            checkpoints: TestStores.current.checkpoints(
                memory.store, configuration: .patient, clock: memory.clock, pool: pool),
            index: memory.store.index, embedder: TestModel.embedder, configuration: .patient, logger: .quiet,
            now: memory.clock.tick)
        for checkpoints in [memory.memory.checkpoints, other.checkpoints] {
            try #require(await comesTrue { checkpoints.otherWriters == .heard })
        }
        try await memory.turn(scope, "one", archive: false)
        #expect(memory.memory.statistics().activeSessions == 1)
        let store = try #require((memory.l2 as? RunningRedis)?.base)
        #expect(try await store.areOurs([scope]) == [true])
        let held = try await other.open(scope)
        _ = try await held.commit(.said("two"))
        held.end()
        #expect(await comesTrue { memory.memory.statistics().activeSessions == 0 })
        #expect(other.statistics().activeSessions == 1)
        // What a worker asks that may not have heard of it.
        #expect(try await store.areOurs([scope]) == [false])

        // An archived batch is no turn.
        let observed = Mutex<[Digest128]>([])
        other.onForeignChange { session in observed.withLock { $0.append(session) } }
        let rounds = MemoryConfiguration.patient.bufferRounds
        var plan: ArchivePlan?
        for number in 0..<rounds where plan == nil {
            let held = try await other.open(scope)
            plan = try await held.commit(.said("more \(number)")).plan
            held.end()
        }
        await memory.memory.archive(try #require(plan), summarize: TestModel.summarize)
        #expect(await comesTrue { !other.isResident(scope) })
        #expect(other.statistics().activeSessions == 1)
        #expect(observed.withLock { $0 }.isEmpty)
    }
}

import Synchronization
import Testing

@testable import Memory

@Suite struct ForgetTests {
    private let scope = Scope.of("ann", "s")
    private let other = Scope.of("ann", "other")

    private static func quick() throws -> TestMemory {
        try TestMemory(configuration: .patient.with { $0.bufferRounds = 2 })
    }

    private func recalled(_ memory: SessionMemory) async -> Int {
        await memory.recall(RecallQuery(scope: other, text: "secret")).memories.count
    }

    @Test("A forgotten session is gone from all tiers, and others stay") func gone() async throws {
        let test = try Self.quick()
        for number in 1...5 { try await test.turn(scope, "secret \(number)") }
        for number in 1...3 { try await test.turn(.of("ann", "kept"), "secret \(number)") }
        #expect(try await test.memory.forget(scope) == .done)
        #expect(try await test.memory.describe(scope) == nil)
        #expect(try await test.memory.history(scope, limit: 10).isEmpty)
        #expect(try await test.rows(scope).isEmpty)
        #expect(await recalled(test.memory) == 2)
        #expect(try await test.memory.history(.of("ann", "kept"), limit: 10).count == 3)
    }

    @Test("No word of a forgotten session is left in the store's tables") func noTrace() async throws {
        let test = try Self.quick()
        for number in 1...5 { try await test.turn(scope, "xylophone \(number)") }
        #expect(try await test.store.occurrences(of: "xylophone") > 0)
        _ = try await test.memory.forget(scope)
        #expect(try await test.store.occurrences(of: "xylophone") == 0)
    }

    @Test(
        "The next turn of a forgotten session's id begins a new one, which is archived and recalled as usual")
    func freshStart() async throws {
        let test = try Self.quick()
        for number in 1...3 { try await test.turn(scope, "secret \(number)") }
        _ = try await test.memory.forget(scope)
        let held = try await test.memory.open(scope)
        #expect(held.tier == .new && held.view.context.isEmpty && held.view.rollingSummary.isEmpty)
        held.end()
        for number in 1...3 { try await test.turn(scope, "secret again \(number)") }
        #expect(try await test.memory.history(scope, limit: 10).map(\.sequence) == [1, 2, 3])
        #expect(await recalled(test.memory) == 2)
    }

    @Test("A turn that ran while its session was forgotten is refused, also the session's first")
    func lateCommit() async throws {
        for before in [0, 3] {
            let test = try Self.quick()
            for number in 0..<before { try await test.turn(scope, "secret \(number)") }
            let held = try await test.memory.open(scope)
            #expect(try await test.memory.forget(scope) == .done)
            await #expect(throws: MemoryError.forgotten) { try await held.commit(.said("secret late")) }
            held.end()
            #expect(try await test.memory.describe(scope) == nil)
            #expect(try await test.turn(scope, "new").sequence == 1)
        }
    }

    @Test("A warm copy in another process can't bring a forgotten session back") func warmCopy() async throws
    {
        let test = try Self.quick()
        let elsewhere = test.beside()
        try await test.turn(scope, "secret 1")
        let late = try await elsewhere.open(scope)
        _ = try await test.memory.forget(scope)
        await #expect(throws: MemoryError.forgotten) { try await late.commit(.said("secret 2")) }
        late.end()
        let fresh = try await elsewhere.open(scope)
        #expect(fresh.view.context.isEmpty)
        _ = try await fresh.commit(.said("new"))
        fresh.end()
        #expect(try await test.memory.history(scope, limit: 10).map(\.turn.said) == ["new"])
    }

    @Test("A stale commit is not carried over a forgetting that came in between") func staleThenForgotten()
        async throws
    {
        let test = try Self.quick()
        let elsewhere = test.beside()
        try await test.turn(scope, "secret 1")
        let held = try await test.memory.open(scope)
        _ = try await elsewhere.forget(scope)
        let theirs = try await elsewhere.open(scope)
        _ = try await theirs.commit(.said("after"))
        theirs.end()
        await #expect(throws: MemoryError.forgotten) { try await held.commit(.said("secret 2")) }
        held.end()
        #expect(try await test.memory.history(scope, limit: 10).map(\.turn.said) == ["after"])
    }

    @Test(
        "Forgetting while a batch is being archived leaves nothing, at whatever step it comes",
        arguments: [0, 1, 2])
    func whileArchiving(step: Int) async throws {
        let trigger = Trigger()
        let test = try TestMemory(
            configuration: .patient.with { $0.bufferRounds = 2 },
            index: { base in
                HookedIndex(base: base) { call in
                    if (call == .upsert && step == 1) || (call == .upserted && step == 2) {
                        await trigger.fire()
                    }
                }
            })
        try await test.turn(scope, "secret 1")
        let plan = try #require(try await test.turn(scope, "secret 2", archive: false).plan)
        trigger.set { [scope] in _ = try? await test.memory.forget(scope) }
        await test.memory.archive(plan) { request in
            if step == 0 { await trigger.fire() }
            return try await TestModel.summarize(request)
        }
        #expect(try await test.rows(scope).isEmpty)
        #expect(await recalled(test.memory) == 0)
        await test.maintainUntilDone()
        #expect(await test.memory.health().forgetsPending == 0)
        #expect(try await test.store.occurrences(of: "secret") == 0)
    }

    @Test("With L3 away forgetting is pending, nothing is recalled meanwhile, and it is done when L3 is back")
    func indexAway() async throws {
        let outage = Switch()
        struct Away: Error {}
        let test = try TestMemory(
            configuration: .patient.with { $0.bufferRounds = 2 },
            index: { HookedIndex(base: $0) { if $0 == .delete, outage.isOn { throw Away() } } })
        for number in 1...3 { try await test.turn(scope, "secret \(number)") }
        outage.turn(on: true)
        #expect(try await test.memory.forget(scope) == .pending)
        #expect(await recalled(test.memory) == 0)
        #expect(try await test.rows(scope).count == 1)
        let restarted = try test.reopenedAfterKill()
        await restarted.maintainUntilDone()
        #expect(try await restarted.rows(scope).isEmpty)
        outage.turn(on: false)
        await test.maintainUntilDone()
        #expect(try await test.rows(scope).isEmpty)
        #expect(await test.memory.health().forgetsPending == 0)
    }

    @Test("Maintenance that can't get on does not ask to be called again at once") func noProgress()
        async throws
    {
        struct Away: Error {}
        let test = try TestMemory(
            configuration: .patient.with {
                $0.bufferRounds = 2
                $0.maintenanceLimit = 1
            }, index: { HookedIndex(base: $0) { if $0 == .delete { throw Away() } } })
        for number in 1...2 { try await test.turn(scope, "secret \(number)") }
        #expect(try await test.memory.forget(scope) == .pending)
        #expect(await test.memory.maintain(summarize: TestModel.summarize) == false)
    }

    @Test("A claim in flight holds forgetting up until it has ended") func claimInFlight() async throws {
        let test = try Self.quick()
        try await test.turn(scope, "secret 1")
        let plan = try #require(try await test.turn(scope, "secret 2", archive: false).plan)
        let time = test.clock.now
        _ = try await test.l2.claim(plan, token: "away", until: time + 60_000, now: time)
        #expect(try await test.memory.forget(scope) == .pending)
        await test.maintainUntilDone()
        #expect(await test.memory.health().forgetsPending == 1)
        let claim = ArchiveClaim(plan: plan, token: "away")
        #expect(
            try await test.l2.recordRows(claim, rows: ["x"], until: time + 90_000) == false)
        test.clock.advance(.seconds(61))
        await test.maintainUntilDone()
        #expect(await test.memory.health().forgetsPending == 0)
    }

    @Test("A session whose keys have expired is forgotten too, with the rows that outlived them")
    func afterExpiry() async throws {
        let test = try Self.quick()
        for number in 1...2 { try await test.turn(scope, "secret \(number)") }
        test.clock.advance(.seconds(9 * 86400))
        await test.maintainUntilDone()
        #expect(try await test.rows(scope).count == 1)
        #expect(try await test.memory.forget(scope) == .done)
        #expect(try await test.rows(scope).isEmpty)
    }

    @Test("Forgetting twice, and forgetting what never was, is done") func twice() async throws {
        let test = try Self.quick()
        #expect(try await test.memory.forget(scope) == .done)
        #expect(try await test.memory.forget(scope) == .done)
        try await test.turn(scope, "new")
        #expect(try await test.memory.history(scope, limit: 10).count == 1)
    }

    @Test("A tombstone goes after its time", .enabled(if: TestStores.current.isEmbedded)) func tombstone()
        async throws
    {
        let test = try Self.quick()
        try await test.turn(scope, "secret")
        _ = try await test.memory.forget(scope)
        #expect(try await test.store.count("session") == 1)
        test.clock.advance(.seconds(9 * 86400))
        await test.maintainUntilDone()
        #expect(try await test.store.count("session") == 0)
    }
}

/// Runs what it was set to, once.
final class Trigger: Sendable {
    private let action = Mutex<(@Sendable () async -> Void)?>(nil)

    func set(_ action: @escaping @Sendable () async -> Void) { self.action.withLock { $0 = action } }

    func fire() async {
        let action = action.withLock { $0.take() }
        await action?()
    }
}

final class Switch: Sendable {
    private let state = Atomic<Bool>(false)
    var isOn: Bool { state.load(ordering: .sequentiallyConsistent) }
    func turn(on: Bool) { state.store(on, ordering: .sequentiallyConsistent) }
}

/// Stores that die on command: between any two calls, before or after the base has done its part.
import Memory
import Synchronization

/// Counts the points at which a process can die, and lets it die at one of them: from then on nothing is done any more.
final class Mortality: Sendable {
    struct Dead: Error {}

    private struct State {
        var passed = 0
        var isDead = false
    }

    private let fatalPoint: Int?
    private let state = Mutex(State())

    init(dyingAt point: Int?) {
        fatalPoint = point
    }

    var isDead: Bool { state.withLock(\.isDead) }

    func point() throws {
        try state.withLock { state in
            if state.passed == fatalPoint { state.isDead = true }
            state.passed += 1
            if state.isDead { throw Dead() }
        }
    }

    func around<Value>(_ call: () async throws -> Value) async throws -> Value {
        try point()
        let value = try await call()
        try point()
        return value
    }
}

struct MortalCheckpoints: CheckpointStore {
    let base: any CheckpointStore
    let mortality: Mortality

    func load(_ scope: Scope, contextLimit: Int) async throws -> SessionView {
        try await base.load(scope, contextLimit: contextLimit)
    }
    func commit(_ request: CommitRequest) async throws -> CommitAnswer {
        try await mortality.around { try await base.commit(request) }
    }
    func turns(_ scope: Scope, after: Int, limit: Int) async throws -> [StoredTurn] {
        try await base.turns(scope, after: after, limit: limit)
    }
    func turn(_ scope: Scope, id: TurnID) async throws -> StoredTurn? { try await base.turn(scope, id: id) }
    func turn(_ scope: Scope, requestDigest: String, since: Int64) async throws -> StoredTurn? {
        try await base.turn(scope, requestDigest: requestDigest, since: since)
    }
    func fragments(_ scope: Scope, limit: FragmentLimit) async throws -> Fragments {
        try await base.fragments(scope, limit: limit)
    }
    func claim(_ plan: ArchivePlan, token: String, until: Int64, now: Int64) async throws -> ClaimAnswer {
        try await mortality.around { try await base.claim(plan, token: token, until: until, now: now) }
    }
    func recordRows(_ claim: ArchiveClaim, rows: [String], until: Int64) async throws -> Bool {
        try await mortality.around { try await base.recordRows(claim, rows: rows, until: until) }
    }
    func finish(_ claim: ArchiveClaim, rows: [String], rollingSummary: String) async throws -> FinishAnswer {
        try await mortality.around {
            try await base.finish(claim, rows: rows, rollingSummary: rollingSummary)
        }
    }
    func giveBack(_ claim: ArchiveClaim, _ failure: ArchiveFailure) async throws {
        try await mortality.around { try await base.giveBack(claim, failure) }
    }
    func pendingPlans(now: Int64, limit: Int) async throws -> [ArchivePlan] {
        try await mortality.around { try await base.pendingPlans(now: now, limit: limit) }
    }
    func planDueFragments(now: Int64, limit: Int) async throws -> Int {
        try await mortality.around { try await base.planDueFragments(now: now, limit: limit) }
    }
    func forget(_ scope: Scope, policy: BufferPolicy, now: Int64) async throws -> ForgetWork {
        try await mortality.around { try await base.forget(scope, policy: policy, now: now) }
    }
    func pendingForgets(limit: Int) async throws -> [ForgetWork] {
        try await mortality.around { try await base.pendingForgets(limit: limit) }
    }
    func completeForget(_ work: ForgetWork) async throws {
        try await mortality.around { try await base.completeForget(work) }
    }
    func expire(now: Int64, limit: Int) async throws -> Int {
        try await mortality.around { try await base.expire(now: now, limit: limit) }
    }
    func status() async throws -> CheckpointStatus { try await base.status() }
    func close() async { await base.close() }
}

struct MortalIndex: MemoryIndex {
    let base: any MemoryIndex
    let mortality: Mortality

    var embedding: EmbeddingSpace { base.embedding }
    var textSearch: TextSearch? { base.textSearch }
    func upsert(_ entries: [IndexEntry]) async throws {
        try await mortality.around { try await base.upsert(entries) }
    }
    func search(_ scope: Scope, _ query: IndexQuery) async throws -> IndexAnswer {
        try await base.search(scope, query)
    }
    func delete(_ scope: Scope, rows: [String]) async throws {
        try await mortality.around { try await base.delete(scope, rows: rows) }
    }
    func remaining(_ scope: Scope, before generation: Int64, rows: [String]) async throws -> [String] {
        try await mortality.around {
            try await base.remaining(scope, before: generation, rows: rows)
        }
    }
    func warm(_ scope: Scope, generation: Int64) async throws {
        try await base.warm(scope, generation: generation)
    }
    func check() async throws { try await base.check() }
    func close() async { await base.close() }
}

/// An index whose calls run a hook first: to fail, to hang, or to let something happen in between.
struct HookedIndex: MemoryIndex {
    enum Call: Sendable { case upsert, upserted, search, check, delete }

    let base: any MemoryIndex
    let hook: @Sendable (Call) async throws -> Void

    var embedding: EmbeddingSpace { base.embedding }
    var textSearch: TextSearch? { base.textSearch }
    func upsert(_ entries: [IndexEntry]) async throws {
        try await hook(.upsert)
        try await base.upsert(entries)
        try await hook(.upserted)
    }
    func search(_ scope: Scope, _ query: IndexQuery) async throws -> IndexAnswer {
        try await hook(.search)
        return try await base.search(scope, query)
    }
    func delete(_ scope: Scope, rows: [String]) async throws {
        try await hook(.delete)
        try await base.delete(scope, rows: rows)
    }
    func remaining(_ scope: Scope, before generation: Int64, rows: [String]) async throws -> [String] {
        try await base.remaining(scope, before: generation, rows: rows)
    }
    func warm(_ scope: Scope, generation: Int64) async throws {
        try await base.warm(scope, generation: generation)
    }
    func check() async throws {
        try await hook(.check)
        try await base.check()
    }
    func close() async { await base.close() }
}

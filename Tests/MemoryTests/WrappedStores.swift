/// Checkpoint stores that change one call of their base: they count it, hold it up, or do something before it.
import Memory
import Synchronization

/// Passes every call on; a wrapper overrides what it is about.
protocol WrappingCheckpoints: CheckpointStore {
    var base: any CheckpointStore { get }
}

extension WrappingCheckpoints {
    var otherWriters: OtherWriters { base.otherWriters }
    func released(_ scope: Scope) { base.released(scope) }
    func onForeignChange(_ handler: @escaping @Sendable (ForeignChange) -> Void) {
        base.onForeignChange(handler)
    }
    func load(_ scope: Scope, contextLimit: Int) async throws -> SessionView {
        try await base.load(scope, contextLimit: contextLimit)
    }
    func commit(_ request: CommitRequest) async throws -> CommitAnswer { try await base.commit(request) }
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
        try await base.claim(plan, token: token, until: until, now: now)
    }
    func recordRows(_ claim: ArchiveClaim, rows: [String], until: Int64) async throws -> Bool {
        try await base.recordRows(claim, rows: rows, until: until)
    }
    func finish(_ claim: ArchiveClaim, rows: [String], rollingSummary: String) async throws -> FinishAnswer {
        try await base.finish(claim, rows: rows, rollingSummary: rollingSummary)
    }
    func giveBack(_ claim: ArchiveClaim, _ failure: ArchiveFailure) async throws {
        try await base.giveBack(claim, failure)
    }
    func pendingPlans(now: Int64, limit: Int) async throws -> [ArchivePlan] {
        try await base.pendingPlans(now: now, limit: limit)
    }
    func planDueFragments(now: Int64, limit: Int) async throws -> Int {
        try await base.planDueFragments(now: now, limit: limit)
    }
    func forget(_ scope: Scope, policy: BufferPolicy, now: Int64) async throws -> ForgetWork {
        try await base.forget(scope, policy: policy, now: now)
    }
    func pendingForgets(limit: Int) async throws -> [ForgetWork] {
        try await base.pendingForgets(limit: limit)
    }
    func completeForget(_ work: ForgetWork) async throws { try await base.completeForget(work) }
    func expire(now: Int64, limit: Int) async throws -> Int { try await base.expire(now: now, limit: limit) }
    func status() async throws -> CheckpointStatus { try await base.status() }
    func close() async { await base.close() }
}

/// Counts the reads of sessions and turns.
final class CountingLoads: Sendable {
    private let count = Atomic<Int>(0)
    var loads: Int { count.load(ordering: .sequentiallyConsistent) }

    func over(_ base: any CheckpointStore) -> any CheckpointStore { Store(base: base, counting: self) }

    private struct Store: WrappingCheckpoints {
        let base: any CheckpointStore
        let counting: CountingLoads

        func load(_ scope: Scope, contextLimit: Int) async throws -> SessionView {
            counting.count.add(1, ordering: .sequentiallyConsistent)
            return try await base.load(scope, contextLimit: contextLimit)
        }
        func turn(_ scope: Scope, id: TurnID) async throws -> StoredTurn? {
            counting.count.add(1, ordering: .sequentiallyConsistent)
            return try await base.turn(scope, id: id)
        }
    }
}

/// Closed until somebody opens it; waiting obeys cancellation.
final class Gate: Sendable {
    private let isOpen = Atomic<Bool>(false)

    func open() { isOpen.store(true, ordering: .sequentiallyConsistent) }

    func pass() async throws {
        while !isOpen.load(ordering: .sequentiallyConsistent) { try await Task.sleep(for: .milliseconds(1)) }
    }
}

/// Stores a commit but answers only when the gate is open: an answer that got lost.
struct SlowCommits: WrappingCheckpoints {
    let base: any CheckpointStore
    let gate: Gate

    func commit(_ request: CommitRequest) async throws -> CommitAnswer {
        let answer = try await base.commit(request)
        try await gate.pass()
        return answer
    }
}

/// Fragments that never come.
struct SilentFragments: WrappingCheckpoints {
    let base: any CheckpointStore

    func fragments(_ scope: Scope, limit: FragmentLimit) async throws -> Fragments {
        try await Gate().pass()
        return try await base.fragments(scope, limit: limit)
    }
}

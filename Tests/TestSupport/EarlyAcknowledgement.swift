/// An L2 that breaks the first promise on purpose: it acknowledges commits before they are stored, so that a crash test can show that it would notice.
import Memory
import Synchronization

/// Answers commits at once and writes them `delay` later, in order. Otherwise it behaves like its base: reads see what it has
/// answered. Never for production.
public final class EarlyAcknowledgingStore: CheckpointStore {
    private struct Behind {
        var request: CommitRequest
        var due: ContinuousClock.Instant
    }

    private struct State {
        var behind: [Behind] = []
        var isWriting = false
        var isClosed = false
    }

    private let base: any CheckpointStore
    private let delay: Duration
    private let state = Mutex(State())

    public init(_ base: any CheckpointStore, delay: Duration) {
        self.base = base
        self.delay = delay
    }

    /// Writes behind until the store is closed or the task is cancelled. Must run beside the store's use.
    public func run() async throws {
        while !state.withLock({ $0.isClosed }) {
            try await writeBehind { $0.due <= .now }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    public func commit(_ request: CommitRequest) async throws -> CommitAnswer {
        let session = request.scope.session
        try await writeBehind { $0.request.scope.session == session }
        let stored = try await base.load(request.scope, contextLimit: 0).checkpoint
        let existing = try await base.turn(request.scope, id: request.turn.id)
        let decision = CommitRule.decide(
            request, stored: stored, existing: existing.map { ($0.sequence, $0.turn.ending) })
        guard case .append(let checkpoint, let plan) = decision else { return try await base.commit(request) }
        state.withLock { $0.behind.append(Behind(request: request, due: .now + delay)) }
        return .applied(sequence: checkpoint.turnCount, checkpoint: checkpoint, plan: plan)
    }

    /// One caller writes at a time, in the order of the answers.
    private func writeBehind(_ isWanted: @Sendable (Behind) -> Bool) async throws {
        while true {
            let (next, isBusy): (Behind?, Bool) = state.withLock { state in
                guard !state.isWriting else { return (nil, true) }
                guard let index = state.behind.firstIndex(where: isWanted) else { return (nil, false) }
                state.isWriting = true
                return (state.behind.remove(at: index), false)
            }
            if let next {
                defer { state.withLock { $0.isWriting = false } }
                _ = try await base.commit(next.request)
            } else if isBusy {
                try await Task.sleep(for: .milliseconds(1))
            } else {
                return
            }
        }
    }

    private func settled() async throws -> any CheckpointStore {
        try await writeBehind { _ in true }
        return base
    }
}

/// What the base does, once it has what was acknowledged.
extension EarlyAcknowledgingStore {
    public var otherWriters: OtherWriters { base.otherWriters }

    public func released(_ scope: Scope) { base.released(scope) }

    public func onForeignChange(_ handler: @escaping @Sendable (ForeignChange) -> Void) {
        base.onForeignChange(handler)
    }

    public func load(_ scope: Scope, contextLimit: Int) async throws -> SessionView {
        try await settled().load(scope, contextLimit: contextLimit)
    }

    public func turns(_ scope: Scope, after: Int, limit: Int) async throws -> [StoredTurn] {
        try await settled().turns(scope, after: after, limit: limit)
    }

    public func turn(_ scope: Scope, id: TurnID) async throws -> StoredTurn? {
        try await settled().turn(scope, id: id)
    }

    public func turn(_ scope: Scope, requestDigest: String, since: Int64) async throws -> StoredTurn? {
        try await settled().turn(scope, requestDigest: requestDigest, since: since)
    }

    public func fragments(_ scope: Scope, limit: FragmentLimit) async throws -> Fragments {
        try await base.fragments(scope, limit: limit)
    }

    public func claim(
        _ plan: ArchivePlan, token: String, until: Int64, now: Int64
    ) async throws -> ClaimAnswer {
        try await settled().claim(plan, token: token, until: until, now: now)
    }

    public func recordRows(_ claim: ArchiveClaim, rows: [String], until: Int64) async throws -> Bool {
        try await base.recordRows(claim, rows: rows, until: until)
    }

    public func finish(
        _ claim: ArchiveClaim, rows: [String], rollingSummary: String
    ) async throws -> FinishAnswer {
        try await base.finish(claim, rows: rows, rollingSummary: rollingSummary)
    }

    public func giveBack(_ claim: ArchiveClaim, _ failure: ArchiveFailure) async throws {
        try await base.giveBack(claim, failure)
    }

    public func pendingPlans(now: Int64, limit: Int) async throws -> [ArchivePlan] {
        try await base.pendingPlans(now: now, limit: limit)
    }

    public func planDueFragments(now: Int64, limit: Int) async throws -> Int {
        try await base.planDueFragments(now: now, limit: limit)
    }

    public func forget(_ scope: Scope, policy: BufferPolicy, now: Int64) async throws -> ForgetWork {
        try await settled().forget(scope, policy: policy, now: now)
    }

    public func pendingForgets(limit: Int) async throws -> [ForgetWork] {
        try await base.pendingForgets(limit: limit)
    }

    public func completeForget(_ work: ForgetWork) async throws { try await base.completeForget(work) }

    public func expire(now: Int64, limit: Int) async throws -> Int {
        try await base.expire(now: now, limit: limit)
    }

    public func status() async throws -> CheckpointStatus { try await base.status() }

    public func close() async {
        state.withLock { $0.isClosed = true }
        do {
            try await writeBehind { _ in true }
        } catch {
            // What can't be written is lost: that is what this store is for.
        }
        await base.close()
    }
}

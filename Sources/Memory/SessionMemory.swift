/// The one entry to the memory: L1 in this process over L2 and L3, and the order in which a turn meets them.
import Logging
import Synchronization

/// Safe to use from any task. Nothing runs by itself: call `maintain` and `evictIdle` at start and on a timer.
public final class SessionMemory: Sendable {
    typealias Opened = Result<SessionView?, MemoryError>
    typealias Pool = SessionPool<SessionView, CheckedContinuation<Opened, Never>>

    struct State {
        var pool: Pool
        var activity: ActivityWindow
        var counters = MemoryStatistics()
        var doubts: [Digest128: Doubt] = [:]
        var lastTicket: UInt64 = 0
        var isClosed = false
        var observer: @Sendable (Digest128) -> Void = { _ in }
        /// Changes elsewhere may not have been heard since the sessions were counted.
        var countIsDoubtful = false
    }

    /// Why a held session must not stay in L1 when its hold ends.
    enum Doubt {
        /// It was read and not committed since: nobody would tell us of a change.
        case onlyRead
        /// Another process has changed it.
        case changed
    }

    let checkpoints: any CheckpointStore
    let index: any MemoryIndex
    let embedder: Embedder
    let configuration: MemoryConfiguration
    let logger: Logger
    let now: @Sendable () -> Int64
    let state: Mutex<State>
    let recallCache: Mutex<RecallCache>

    /// - Precondition: the index is bound to the embedder's model and dimension.
    /// - Parameter now: milliseconds since 1970.
    public init(
        checkpoints: any CheckpointStore, index: any MemoryIndex, embedder: Embedder,
        configuration: MemoryConfiguration = .init(), logger: Logger,
        now: @escaping @Sendable () -> Int64
    ) {
        precondition(index.embedding == embedder.space, "open the index with the embedder's own space")
        self.checkpoints = checkpoints
        self.index = index
        self.embedder = embedder
        self.configuration = configuration
        self.logger = logger
        self.now = now
        let idle = configuration.idleTTL.milliseconds
        let limits = Pool.Limits(
            bytes: configuration.maxSessionBytes, idle: idle, waiters: configuration.maxWaitersPerSession)
        state = Mutex(State(pool: Pool(limits: limits), activity: ActivityWindow(length: idle)))
        recallCache = Mutex(RecallCache(limit: configuration.recall.cacheEntries))
        checkpoints.onForeignChange { [weak self] change in self?.changedElsewhere(change) }
    }

    /// Turns of the context behind the last plan, at most: bounds the context where archiving lags.
    var contextLimit: Int { configuration.bufferRounds * 4 }

    var policy: BufferPolicy { configuration.policy }

    /// Holds the session for one turn, after the turns that came before. From L1 without a store, else from L2 by one
    /// read, else new. Writes nothing.
    ///
    /// - Parameter others: workers that serve; where one of them has the session, and L1 has not, this throws `elsewhere`.
    public func open(_ scope: Scope, others: [String] = []) async throws(MemoryError) -> HeldSession {
        if let view = try await hold(scope), checkpoints.otherWriters != .unheard {
            state.withLock { $0.counters.hits += 1 }
            return HeldSession(scope: scope, tier: .l1, view: view, memory: self)
        }
        do {
            let (view, live) = try await load(scope, others: others)
            let tier: MemoryTier = view.turnCount > 0 ? .l2 : .new
            state.withLock { state in
                if tier == .l2 {
                    state.counters.loads += 1
                    if checkpoints.otherWriters != .none { state.doubts[scope.session] = .onlyRead }
                    state.pool.put(scope.session, view, bytes: view.estimatedBytes)
                } else {
                    state.counters.created += 1
                }
            }
            return HeldSession(scope: scope, tier: tier, view: view, live: live, memory: self)
        } catch {
            end(scope)
            throw error
        }
    }

    /// Turns after a sequence, oldest first; archived ones too, up to the history's limit.
    public func history(
        _ scope: Scope, after: Int = 0, limit: Int
    ) async throws(MemoryError) -> [StoredTurn] {
        try await read { [checkpoints] in try await checkpoints.turns(scope, after: after, limit: limit) }
    }

    /// The turn of this id as the history has it.
    public func turn(_ scope: Scope, id: TurnID) async throws(MemoryError) -> StoredTurn? {
        try await storedTurn(scope, id: id)
    }

    /// Nil where there is no such session, or none any more.
    public func describe(_ scope: Scope) async throws(MemoryError) -> SessionDescription? {
        let view = try await read { [checkpoints] in try await checkpoints.load(scope, contextLimit: 0) }
        guard view.turnCount > 0 else { return nil }
        return SessionDescription(sessionID: scope.sessionID, checkpoint: view.checkpoint)
    }

    /// Lets a session leave L1, at once or with the end of its running turn. Its buffer stays in L2.
    public func release(_ scope: Scope) async throws(MemoryError) {
        state.withLock { state in
            state.pool.discard(scope.session)
            state.activity.forget(scope.session)
        }
        checkpoints.released(scope)
    }

    /// Calls `observer` with each session in which another process had a turn, or that it has forgotten. It must not block.
    public func onForeignChange(_ observer: @escaping @Sendable (Digest128) -> Void) {
        state.withLock { $0.observer = observer }
    }

    /// Sends sessions away that are too old, or too many; how many.
    @discardableResult
    public func evictIdle() -> Int {
        let time = now()
        return state.withLock { state in
            state.activity.prune(now: time)
            let evicted = state.pool.evict(now: time)
            state.counters.evictions += evicted
            return evicted
        }
    }

    /// Whether a turn of the session would find it in L1.
    public func isResident(_ scope: Scope) -> Bool {
        state.withLock { $0.pool.isResident(scope.session) }
    }

    /// After a time in which changes elsewhere were not heard: counts the sessions no more that go on elsewhere. Call it on a
    /// timer; it asks L2 only then.
    public func recount() async {
        let sessions = state.withLock { state -> [(scope: Scope, lastTurn: Int64)] in
            guard state.countIsDoubtful, checkpoints.otherWriters == .heard else { return [] }
            state.countIsDoubtful = false
            return state.activity.all
        }
        for start in stride(from: 0, to: sessions.count, by: 512) {
            let some = sessions[start..<min(start + 512, sessions.count)]
            do {
                let ours = try await read { [checkpoints] in try await checkpoints.areOurs(some.map(\.scope))
                }
                state.withLock { state in
                    for (session, isOurs) in zip(some, ours) where !isOurs {
                        state.activity.forget(session.scope.session, lastTurn: session.lastTurn)
                    }
                }
            } catch {
                state.withLock { $0.countIsDoubtful = true }
                return
            }
        }
    }

    public func statistics() -> MemoryStatistics {
        state.withLock { state in
            var statistics = state.counters
            statistics.textSearch = index.textSearch
            statistics.sessions = state.pool.count
            statistics.bytes = state.pool.bytes
            statistics.waiting = state.pool.waiting
            statistics.activeSessions = state.activity.count
            return statistics
        }
    }

    /// Refuses what comes after, ends the waiting turns, and closes both stores.
    public func close() async {
        let waiters = state.withLock { state in
            state.isClosed = true
            return state.pool.abandonAll()
        }
        for waiter in waiters { waiter.resume(returning: .failure(.closed)) }
        await checkpoints.close()
        await index.close()
    }
}

/// Holding and loading.
extension SessionMemory {
    /// The session's content where L1 has it.
    private func hold(_ scope: Scope) async throws(MemoryError) -> SessionView? {
        enum Step { case held(SessionView?), closed, wait(UInt64) }
        let step: Step = state.withLock { state in
            if state.isClosed { return .closed }
            switch state.pool.hold(scope.session, now: now()) {
            case .held(let view): return .held(view)
            case .occupied:
                state.lastTicket += 1
                return .wait(state.lastTicket)
            }
        }
        switch step {
        case .held(let view): return view
        case .closed: throw .closed
        case .wait(let ticket): return try await wait(scope.session, ticket: ticket).get()
        }
    }

    private func wait(_ session: Digest128, ticket: UInt64) async -> Opened {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Opened? = state.withLock { state in
                    if state.isClosed { return .failure(.closed) }
                    // The handler below runs once: where that was before this, nobody else would take us out.
                    if Task.isCancelled { return .failure(.cancelled) }
                    switch state.pool.wait(session, ticket: ticket, waiter: continuation, now: now()) {
                    case .held(let view): return .success(view)
                    case .queued: return nil
                    case .refused(let waiting):
                        state.counters.refused += 1
                        return .failure(.sessionBusy(waiting: waiting))
                    }
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.pool.abandon(session, ticket: ticket) }
            waiter?.resume(returning: .failure(.cancelled))
        }
    }

    /// What L1 has of a session, or of all, is not what L2 has any more.
    private func changedElsewhere(_ change: ForeignChange) {
        let observer = state.withLock { state in
            let changed: [Digest128]
            switch change {
            case .session(let session):
                // Whoever had its last turn counts it.
                state.activity.forget(session)
                changed = [session]
            case .archive(let session): changed = [session]
            case .any:
                state.countIsDoubtful = true
                changed = Array(state.pool.keys)
            }
            for session in changed {
                state.pool.discard(session)
                if state.pool.isHeld(session) { state.doubts[session] = .changed }
            }
            return state.observer
        }
        if case .session(let session) = change { observer(session) }
    }

    /// Ends a hold; the next turn in line gets the session.
    func end(_ scope: Scope) {
        let time = now()
        let next: (CheckedContinuation<Opened, Never>, SessionView?)? = state.withLock { state in
            if state.doubts.removeValue(forKey: scope.session) != nil { state.pool.discard(scope.session) }
            let release = state.pool.release(scope.session, now: time)
            state.counters.evictions += state.pool.evict(now: time)
            if case .handOver(let waiter, let view) = release { return (waiter, view) }
            return nil
        }
        if let next { next.0.resume(returning: .success(next.1)) }
    }

    func load(_ scope: Scope) async throws(MemoryError) -> SessionView {
        try await read { [checkpoints, contextLimit] in
            try await checkpoints.load(scope, contextLimit: contextLimit)
        }
    }

    private func load(
        _ scope: Scope, others: [String]
    ) async throws(MemoryError) -> (SessionView, LiveSession) {
        let opening = try await read { [checkpoints, contextLimit] in
            try await checkpoints.open(scope, contextLimit: contextLimit, others: others)
        }
        switch opening {
        case .here(let view, let live): return (view, live)
        case .elsewhere(let live): throw .elsewhere(live)
        }
    }

    func storedTurn(_ scope: Scope, id: TurnID) async throws(MemoryError) -> StoredTurn? {
        try await read { [checkpoints] in try await checkpoints.turn(scope, id: id) }
    }

    func storedTurn(
        _ scope: Scope, requestDigest: String, since: Int64
    ) async throws(MemoryError) -> StoredTurn? {
        try await read { [checkpoints] in
            try await checkpoints.turn(scope, requestDigest: requestDigest, since: since)
        }
    }

    /// A read of L2 within its deadline.
    func read<Value: Sendable>(
        _ operation: @escaping @Sendable () async throws -> Value
    ) async throws(MemoryError) -> Value {
        do {
            return try await withDeadline(configuration.loadDeadline, operation)
        } catch is DeadlineExceeded {
            throw .storeUnavailable("no answer within \(configuration.loadDeadline)")
        } catch {
            if Task.isCancelled { throw .cancelled }
            throw .storeUnavailable("\(error)")
        }
    }
}

/// How a finished turn becomes durable: compare-and-append until it stands, without asking a model again.

extension SessionMemory {
    /// Writers that may come in between before a commit gives up.
    private static var staleLimit: Int { 16 }

    /// Returns what became of the turn and the session's view after it.
    func commit(
        _ turn: Turn, scope: Scope, view: SessionView, ownership: SessionOwnership?
    ) async throws(MemoryError) -> (CommitOutcome, SessionView) {
        do {
            return try await withDeadline(configuration.commitDeadline) { [self] in
                try await append(turn, scope: scope, view: view, ownership: ownership)
            }
        } catch {
            // What L2 holds now is not known: the next turn reads it.
            state.withLock { state in
                state.pool.discard(scope.session)
                if error as? MemoryError == .forgotten {
                    state.counters.forgottenCommits += 1
                } else {
                    state.counters.failedCommits += 1
                }
            }
            if let error = error as? MemoryError { throw error }
            if error is DeadlineExceeded || Task.isCancelled { throw .commitUnconfirmed }
            throw .storeUnavailable("\(error)")
        }
    }

    private func append(
        _ turn: Turn, scope: Scope, view: SessionView, ownership: SessionOwnership?
    ) async throws -> (CommitOutcome, SessionView) {
        var (turn, view) = (turn, view)
        for _ in 0..<Self.staleLimit {
            let request = CommitRequest(
                scope: scope, turn: turn, known: view.checkpoint, policy: policy, now: now(),
                ownership: ownership)
            switch try await checkpoints.commit(request) {
            case .applied(let sequence, let checkpoint, let plan):
                let stored = StoredTurn(sequence: sequence, turn: turn)
                let outcome = CommitOutcome(
                    sequence: sequence, concurrent: turn.concurrent, plan: plan, stored: stored)
                return (outcome, keep(stored, checkpoint, scope: scope, view: view))
            case .duplicate(let stored):
                state.withLock { $0.counters.duplicateCommits += 1 }
                let outcome = CommitOutcome(
                    sequence: stored.sequence, duplicate: true, concurrent: stored.turn.concurrent,
                    stored: stored)
                return (outcome, try await refreshed(scope, view: view, having: stored))
            case .stale:
                state.withLock { $0.counters.staleCommits += 1 }
                let generation = view.generation
                view = try await load(scope)
                // The reload must not carry a turn over into what came after the forgetting.
                guard view.generation <= generation else { throw MemoryError.forgotten }
                state.withLock { $0.pool.put(scope.session, view, bytes: view.estimatedBytes) }
                turn.concurrent = true
            case .forgotten: throw MemoryError.forgotten
            case .elsewhere(let owner): throw MemoryError.elsewhere(LiveSession(owner: owner, turn: turn.id))
            }
        }
        throw MemoryError.storeUnavailable(
            "other writers of this session came first \(Self.staleLimit) times")
    }

    /// Takes a stored turn into L1 and returns the view with it.
    private func keep(
        _ stored: StoredTurn, _ checkpoint: Checkpoint, scope: Scope, view: SessionView
    ) -> SessionView {
        let (limit, time) = (contextLimit, now())
        return state.withLock { state in
            state.counters.commits += 1
            state.activity.note(scope, now: time)
            if state.doubts[scope.session] == .onlyRead { state.doubts[scope.session] = nil }
            var applied = false
            let shared = state.pool.modify(scope.session) { content in
                applied = content.apply(stored, checkpoint: checkpoint, contextLimit: limit)
                return content.estimatedBytes
            }
            if let shared, applied { return shared }
            var own = view
            applied = own.apply(stored, checkpoint: checkpoint, contextLimit: limit)
            if shared == nil, applied, view.turnCount == 0 {
                state.pool.put(scope.session, own, bytes: own.estimatedBytes)
            } else {
                state.pool.discard(scope.session)
            }
            return own
        }
    }

    /// A turn that L2 has and the view has not was written elsewhere: what else was is read with it.
    private func refreshed(
        _ scope: Scope, view: SessionView, having stored: StoredTurn
    ) async throws -> SessionView {
        if stored.sequence <= view.turnCount { return view }
        let loaded = try await load(scope)
        state.withLock { $0.pool.put(scope.session, loaded, bytes: loaded.estimatedBytes) }
        return loaded
    }
}

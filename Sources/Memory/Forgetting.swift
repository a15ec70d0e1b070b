/// Forgets a session in all tiers: the tombstone first, then its rows, until they are confirmed to be gone.
import Logging

extension SessionMemory {
    /// From the moment this returns nothing of the session is opened, recalled or archived, and what was running on it
    /// is refused at its commit. `pending` where rows or claims in flight remain: `maintain` goes on with them.
    public func forget(_ scope: Scope) async throws(MemoryError) -> ForgetProgress {
        let work: ForgetWork
        do {
            work = try await withDeadline(configuration.commitDeadline) { [self] in
                try await checkpoints.forget(scope, policy: policy, now: now())
            }
        } catch {
            if Task.isCancelled { throw .cancelled }
            throw .storeUnavailable(
                "\(error is DeadlineExceeded ? "forgetting was not confirmed in time" : "\(error)")")
        }
        state.withLock { state in
            state.pool.discard(scope.session)
            state.activity.forget(scope.session)
        }
        recallCache.withLock { $0.forget(scope.principal) }
        return await finishForgetting(work) ? .done : .pending
    }

    /// True where nothing of it is left.
    func finishForgetting(_ work: ForgetWork) async -> Bool {
        // Read before the rows are looked for: a claim that ends in between may have written after the look.
        let claimsHaveEnded = now() >= work.claimsUntil
        do {
            let left = try await remainingRows(work)
            if !left.isEmpty {
                try await withDeadline(configuration.indexDeadline) { [index] in
                    try await index.delete(work.scope, rows: left)
                }
                guard try await remainingRows(work).isEmpty else { return false }
            }
            guard claimsHaveEnded else { return false }
            try await withDeadline(configuration.loadDeadline) { [checkpoints] in
                try await checkpoints.completeForget(work)
            }
            recallCache.withLock { $0.forget(work.scope.principal) }
            return true
        } catch {
            logger.warning(
                "forgetting goes on later: a store does not answer",
                metadata: ["session": "\(work.scope.session)", "error": "\(error)"])
            return false
        }
    }

    private func remainingRows(_ work: ForgetWork) async throws -> [String] {
        try await withDeadline(configuration.indexDeadline) { [index] in
            try await index.remaining(work.scope, before: work.generation, rows: work.rows)
        }
    }
}

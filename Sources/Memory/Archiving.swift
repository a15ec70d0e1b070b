/// Carries out archive plans: the shell around `ArchiveAttempt`, safe to run by anyone and any number of times.
import Logging

extension SessionMemory {
    /// Summarises a batch, writes it to L3 and moves the checkpoint. Returns at once where somebody else does it, it is
    /// done, or L3 does not answer; what is left over, `maintain` takes up again.
    public func archive(_ plan: ArchivePlan, summarize: @escaping Summarizer) async {
        _ = await carryOut(plan, summarize: summarize)
    }

    /// True where the batch was archived by this call.
    func carryOut(_ plan: ArchivePlan, summarize: @escaping Summarizer) async -> Bool {
        let claim = ArchiveClaim(plan: plan, token: TurnID.mint().value)
        let time = now()
        do {
            // Asked first, so that no model writes a summary that can't be stored.
            try await withDeadline(configuration.loadDeadline) { [index] in try await index.check() }
            let until = time + configuration.claimDuration.milliseconds
            let answer = try await withDeadline(configuration.loadDeadline) { [checkpoints] in
                try await checkpoints.claim(plan, token: claim.token, until: until, now: time)
            }
            guard case .granted(let batch) = answer else { return false }
            return await attempt(claim, batch, summarize: summarize)
        } catch {
            logger.warning(
                "batch not archived yet: a store does not answer",
                metadata: ["batch": "\(plan.batchID)", "error": "\(error)"])
            return false
        }
    }

    private func attempt(
        _ claim: ArchiveClaim, _ batch: ClaimedBatch, summarize: @escaping Summarizer
    ) async -> Bool {
        var attempt = ArchiveAttempt(plan: claim.plan, batch: batch)
        var action = attempt.begin()
        // A cancelled attempt leaves its claim to expire: another begins where it could have got to.
        while !Task.isCancelled {
            if case .done(let outcome) = action { return settle(claim.plan, outcome) }
            do {
                action = try await perform(action, of: &attempt, claim, summarize: summarize)
            } catch {
                action = attempt.failed("\(error)", now: now())
            }
        }
        return false
    }

    private func perform(
        _ action: ArchiveAttempt.Action, of attempt: inout ArchiveAttempt, _ claim: ArchiveClaim,
        summarize: @escaping Summarizer
    ) async throws -> ArchiveAttempt.Action {
        let scope = claim.plan.scope
        switch action {
        case .summarize(let request):
            return await self.summarize(request, for: &attempt, summarize)
        case .embed(let texts):
            let vectors = try await withDeadline(configuration.indexDeadline) { [embedder] in
                try await embedder.embed(texts)
            }
            return attempt.embedded(vectors, now: now())
        case .record(let rows):
            let until = now() + configuration.claimDuration.milliseconds
            return attempt.recorded(
                try await withDeadline(configuration.loadDeadline) { [checkpoints] in
                    try await checkpoints.recordRows(claim, rows: rows, until: until)
                })
        case .upsert(let entries):
            try await withDeadline(configuration.indexDeadline) { [index] in try await index.upsert(entries) }
            return attempt.upserted()
        case .removeEarlier(let rows):
            try await remove(rows, scope)
            return attempt.removedEarlier()
        case .finish(let rows, let rollingSummary):
            return attempt.finished(
                try await withDeadline(configuration.loadDeadline) { [checkpoints] in
                    try await checkpoints.finish(claim, rows: rows, rollingSummary: rollingSummary)
                })
        case .removeOwn(let rows):
            try await remove(rows, scope)
            return attempt.removedOwn()
        case .giveBack(let failure):
            try await withDeadline(configuration.loadDeadline) { [checkpoints] in
                try await checkpoints.giveBack(claim, failure)
            }
            return attempt.gaveBack()
        case .done: return action
        }
    }

    /// The model gets most of the claim's time, so that what follows is done while the claim holds.
    private func summarize(
        _ request: SummaryRequest, for attempt: inout ArchiveAttempt, _ summarize: @escaping Summarizer
    ) async -> ArchiveAttempt.Action {
        do {
            let summary = try await withDeadline(configuration.claimDuration / 2) {
                try await summarize(request)
            }
            return attempt.summarized(summary, now: now())
        } catch let failure as SummaryFailure {
            return attempt.summaryFailed(failure, now: now())
        } catch {
            return attempt.summaryFailed(.transient("\(error)"), now: now())
        }
    }

    private func remove(_ rows: [String], _ scope: Scope) async throws {
        try await withDeadline(configuration.indexDeadline) { [index] in
            try await index.delete(scope, rows: rows)
        }
    }

    private func settle(_ plan: ArchivePlan, _ outcome: ArchiveAttempt.Outcome) -> Bool {
        switch outcome {
        case .abandoned: return false
        case .archived(let checkpoint):
            state.withLock { state in
                state.counters.archived += 1
                _ = state.pool.modify(plan.scope.session) { view in
                    view.archived(checkpoint, contextLimit: contextLimit)
                    return view.estimatedBytes
                }
            }
            recallCache.withLock { $0.forget(plan.scope.principal) }
            return true
        case .failed(let failure):
            let isParked = failure.nextAttempt == nil
            state.withLock { $0.counters.archiveRetries += isParked ? 0 : 1 }
            logger.log(
                level: isParked ? .error : .warning,
                isParked
                    ? "batch parked: it can't be archived" : "batch not archived yet: will be tried again",
                metadata: [
                    "batch": "\(plan.batchID)", "attempts": "\(failure.attempts)",
                    "reason": "\(failure.reason)",
                ])
            return false
        }
    }
}

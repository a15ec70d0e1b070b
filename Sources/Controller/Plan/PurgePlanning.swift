/// Decides how a pool's memory is forgotten before the pool goes: pods first, then a Job, and an end to waiting in any case.
import Kubernetes
import PoolAPI

/// How long each part of a purge may take. Past it the pool goes, and an Event says what was left undone.
struct PurgeLimits: Sendable, Equatable {
    /// Beyond the time that pods have for their drain.
    var pods: Duration = .seconds(600)
    /// The Job itself, which ends by a limit of its own after 900 s.
    var job: Duration = .seconds(1_200)
    /// Between two looks at whether the pods are gone.
    var lookAgain: Duration = .seconds(2)
}

/// The steps towards the end of a pool that is being deleted and carries our finalizer.
func purgePlan(_ observed: Observed, _ now: Timestamp, _ limits: PurgeLimits) -> Plan {
    guard let desired = observed.desired else {
        return givingUp(observed, "its spec can't be read: \(observed.problems.first?.text ?? "")")
    }
    // Embedded memory is in the pods and their volume, and goes with them.
    guard let job = desired.purge else { return ending(observed, []) }
    if observed.pool.finalizers.contains("foregroundDeletion") {
        return givingUp(observed, "a deletion in the foreground takes away what the purge reads")
    }
    let waited = Duration.microseconds(
        observed.pool.deletedAt.map { now.microseconds - $0.microseconds } ?? 0)
    let limit = desired.drain + limits.pods
    if let known = observed.child(job.id), !observed.isLeftover(known) {
        let phase = observed.jobs.first { $0.uid == known.uid }?.phase ?? .running
        return purgePlan(observed, job.id, phase, isLate: waited > limit + limits.job)
    }
    // A Deployment makes pods anew, and an autoscaler would scale it up again.
    let makers = observed.children.filter { $0.id.kind.isAutoscaler || $0.id.kind == .deployment }
        .filter { $0.owner == .pool(observed.pool.uid) }
    var plan = Plan(lookAgain: limits.lookAgain, hasStatus: false)
    if !makers.isEmpty || observed.hasPods != false {
        if waited > limit {
            return givingUp(observed, "its pods did not end within \(limit.components.seconds) seconds")
        }
        plan.steps = makers.filter { !$0.isTerminating }
            .sorted { $0.id.kind.isAutoscaler && !$1.id.kind.isAutoscaler }
            .map { .delete($0.id, $0.uid, .background) }
    } else if let leftover = observed.child(job.id) {
        plan.steps = [.delete(leftover.id, leftover.uid, .background)]
    } else {
        plan.steps = [.apply(job)]
    }
    return plan
}

private func purgePlan(_ observed: Observed, _ job: ChildID, _ phase: JobRecord.Phase, isLate: Bool) -> Plan {
    switch phase {
    case .complete:
        ending(observed, [EventNote(.normal, "Purged", "The pool's memory has been forgotten.")])
    case .failed(let reason): givingUp(observed, "\(job) failed: \(reason)")
    case .running:
        isLate
            ? givingUp(observed, "\(job) did not end in time")
            // Its end is told by a watch; this is for its limit.
            : Plan(lookAgain: .seconds(30), hasStatus: false)
    }
}

/// The plan after which the pool is gone.
func ending(_ observed: Observed, _ notes: [EventNote]) -> Plan {
    let rest = observed.pool.finalizers.filter { $0 != PoolNames.purgeFinalizer }
    return Plan(steps: [.setFinalizers(rest)], notes: notes, hasStatus: false)
}

/// A deletion that waited for ever would be worse than memory that stays.
func givingUp(_ observed: Observed, _ why: String) -> Plan {
    ending(
        observed,
        [
            EventNote(
                .warning, "PurgeAbandoned",
                "The pool's memory stays, for \(why); forget it by `agentpool purge` with the pool's manifest"
            )
        ])
}

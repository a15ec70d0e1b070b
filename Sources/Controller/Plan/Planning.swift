/// Decides what a pool needs: which children are applied, which are deleted, and what is left alone.
import Kubernetes
import PoolAPI

/// The steps that bring a pool from what was observed to what its spec says. The same input gives the same plan.
func plan(_ observed: Observed, _ now: Timestamp, _ limits: PurgeLimits = PurgeLimits()) -> Plan {
    if observed.isPurging { return purgePlan(observed, now, limits) }
    // What the pool owns goes with it; all that a write could do is to make it come back.
    if observed.pool.isBeingDeleted { return Plan(hasStatus: false) }
    var planner = Planner(observed)
    planner.plan()
    return planner.result
}

private struct Planner {
    /// How long to wait for what a watch should tell of, before looking anyway.
    static let patience: Duration = .seconds(30)

    let observed: Observed
    var result = Plan()

    init(_ observed: Observed) {
        self.observed = observed
    }

    mutating func plan() {
        result.findings = observed.problems
        if let stalled = observed.currentDeployment?.stalled, let name = observed.currentDeployment?.name {
            result.findings.append(
                Finding(.rolloutStalled, "Deployment \(name)", "\(stalled); see its pods for the cause"))
        }
        // What serves now goes on serving while the spec can't be read.
        guard let desired = observed.desired else { return }
        result.findings += desired.findings
        finalizer(desired)
        // An autoscaler that is not wanted would work against the Deployment as it is to be, or against its successor.
        deletions(desired) { $0.isAutoscaler }
        for child in desired.children { self.child(child) }
        deletions(desired) { !$0.isAutoscaler }
    }

    private mutating func finalizer(_ desired: Desired) {
        let known = observed.pool.finalizers
        let isThere = known.contains(PoolNames.purgeFinalizer)
        if desired.isPurged, !isThere {
            result.steps.append(.setFinalizers(known + [PoolNames.purgeFinalizer]))
        } else if !desired.isPurged, isThere {
            result.steps.append(.setFinalizers(known.filter { $0 != PoolNames.purgeFinalizer }))
        }
    }

    private mutating func child(_ wanted: DesiredChild) {
        guard let known = observed.child(wanted.id) else {
            // Without an answer about this name nothing is written under it.
            guard observed.lookUps[wanted.id] == .absent else { return wait() }
            result.steps.append(.apply(wanted))
            return
        }
        guard isOurs(known, wanted) else {
            if observed.isLeftover(known) {
                deleteLeftover(known)
            } else {
                conflict(wanted.id)
            }
            return
        }
        // Applied now it would go all the same; its removal brings the pool back here.
        if known.isTerminating { return wait() }
        if wanted.id.kind == .deployment {
            deployment(wanted, known)
        } else if !known.isAsApplied(wanted.digest) {
            result.steps.append(.apply(wanted))
        }
    }

    private func isOurs(_ known: ChildRecord, _ wanted: DesiredChild) -> Bool {
        switch known.owner {
        case .pool(let uid): uid == observed.pool.uid
        // A volume that outlives its pool has no owner and belongs to whoever of its name comes next. It is in the cache by its
        // labels. Its reclaim policy may have changed since.
        case .none:
            wanted.id.kind == .persistentVolumeClaim && observed.children.contains { $0.id == known.id }
        case .other: false
        }
    }

    private mutating func deployment(_ wanted: DesiredChild, _ known: ChildRecord) {
        let current = observed.currentDeployment
        let isScaledByHand = wanted.replicas != nil && current != nil && current?.wanted != wanted.replicas
        if !known.isAsApplied(wanted.digest) || isScaledByHand {
            if observed.isRollingByOperator, !observed.mayRoll {
                result.isHeldBack = true
                result.lookAgain = Self.patience
                return
            }
            if wanted.isRecreating, let current, !current.isRecreating, current.isRolling,
                observed.replicaSets.filter(\.isInUse).count > 1
            {
                // A Deployment that becomes Recreate amid a roll-out waits for ever for pods that nothing ends.
                result.steps.append(.delete(wanted.id, known.uid, .foreground))
                return wait()
            }
            if wanted.replicas == nil, let current, !current.leavesReplicas {
                result.steps.append(.handOverReplicas(wanted.id, known.uid, replicas: current.wanted))
            }
            result.steps.append(.apply(wanted))
        } else if let current, let verified = known.verified, verified.generation > current.generation {
            // The cache shows the Deployment as it was before our last apply.
            wait()
        }
        if wanted.replicas != nil, known.hasHandover {
            result.steps.append(.releaseReplicas(wanted.id, known.uid))
        }
    }

    private mutating func conflict(_ id: ChildID) {
        result.findings.append(
            Finding(
                .nameConflict, id.description,
                "exists and does not belong to this pool; delete or rename it, or give the pool another name")
        )
        result.isToBeRetried = true
    }

    private mutating func deleteLeftover(_ known: ChildRecord) {
        if observed.isPoolConfirmed, !known.isTerminating {
            result.steps.append(.delete(known.id, known.uid, .background))
        }
        wait()
    }

    private mutating func deletions(_ desired: Desired, _ kinds: (ChildKind) -> Bool) {
        for known in observed.children where kinds(known.id.kind) && desired.child(known.id) == nil {
            if known.isTerminating { continue }
            if observed.isLeftover(known) {
                deleteLeftover(known)
            } else if known.owner == .pool(observed.pool.uid), !isKept(known.id) {
                result.steps.append(.delete(known.id, known.uid, .background))
            }
        }
    }

    /// What the spec no longer wants and yet stays.
    private func isKept(_ id: ChildID) -> Bool {
        switch id.kind {
        // Memory is deleted by `reclaimPolicy`, not by a change of the spec.
        case .persistentVolumeClaim: return true
        case .configMap:
            if observed.replicaSets.contains(where: { $0.isInUse && $0.config == id.name }) { return true }
            guard let current = observed.currentDeployment else { return false }
            // Until the Deployment controller has seen the newest template, a ReplicaSet of this one may still come.
            return current.config == id.name
                || current.observedGeneration.map { $0 < current.generation } ?? false
        default: return false
        }
    }

    private mutating func wait() {
        result.isUnfinished = true
        result.lookAgain = Self.patience
    }
}

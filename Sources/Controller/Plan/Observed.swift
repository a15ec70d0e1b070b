/// Everything that a plan for one pool is made of, gathered from the caches and a few look-ups.
import Kubernetes
import PoolAPI

struct Observed: Sendable, Equatable {
    var key: PoolReference
    var pool: PoolRecord
    /// Nil where the spec can't be read; `problems` say why.
    var desired: Desired?
    var problems: [Finding] = []
    var children: [ChildRecord] = []
    var deployment: DeploymentRecord?
    var replicaSets: [ReplicaSetRecord] = []
    var jobs: [JobRecord] = []
    /// The answers about children that no cache knows.
    var lookUps: [ChildID: LookUp] = [:]
    /// Whether the API server was asked and says that the pool still has the uid that the cache tells.
    var isPoolConfirmed = false
    /// Whether a roll-out that the operator alone causes may begin now.
    var mayRoll = true
    var activeSessions: Int?
    /// Of a pool that is to be purged: whether it has pods. Nil where nobody asked.
    var hasPods: Bool?

    enum LookUp: Sendable, Equatable {
        case absent
        case found(ChildRecord, DeploymentRecord?)
    }

    /// The children as known: from the cache, else from a look-up.
    func child(_ id: ChildID) -> ChildRecord? {
        if let known = children.first(where: { $0.id == id }) { return known }
        if case .found(let record, _) = lookUps[id] { return record }
        return nil
    }

    /// The pool's own Deployment, from the cache, else from a look-up.
    var currentDeployment: DeploymentRecord? {
        if let deployment {
            let record = children.first { $0.id.kind == .deployment && $0.id.name == deployment.name }
            return record?.owner == .pool(pool.uid) ? deployment : nil
        }
        for case .found(let record, let deployment?) in lookUps.values
        where record.owner == .pool(pool.uid) {
            return deployment
        }
        return nil
    }

    /// The children to be looked up by name before their first apply: somebody else's object would be taken over without a word.
    var unknownChildren: [ChildID] {
        guard !pool.isBeingDeleted, let desired else { return [] }
        return desired.children.map(\.id).filter { id in
            lookUps[id] == nil && !children.contains { $0.id == id }
        }
    }

    /// Whether an earlier pool of this name left children, which takes a look at whether it is really gone.
    var hasLeftovers: Bool {
        !pool.isBeingDeleted && children.contains { isLeftover($0) }
    }

    func isLeftover(_ child: ChildRecord) -> Bool {
        if case .pool(let uid) = child.owner { uid != pool.uid } else { false }
    }

    /// Whether the Deployment would roll though its spec has not changed since it was applied: a new version of the operator.
    var isRollingByOperator: Bool {
        guard !pool.isBeingDeleted, pool.status.observedGeneration == pool.generation,
            let wanted = desired?.children.first(where: { $0.id.kind == .deployment }),
            let known = child(wanted.id), !known.isTerminating
        else { return false }
        return known.digest != wanted.digest && known.verified?.digest != wanted.digest
    }

    /// Whether the pool waits for its end with our finalizer on it.
    var isPurging: Bool { pool.isBeingDeleted && pool.finalizers.contains(PoolNames.purgeFinalizer) }
}

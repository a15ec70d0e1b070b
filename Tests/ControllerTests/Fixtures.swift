/// Makers of what tests of the controller speak about: pools, children and Deployments in any state.
import Kubernetes
import PoolAPI

@testable import Controller

let poolUID = ObjectUID("0a000000-0000-4000-8000-000000000001")
let otherUID = ObjectUID("0a000000-0000-4000-8000-000000000002")
let childUID = ObjectUID("0c000000-0000-4000-8000-000000000001")
let thePool = PoolReference(namespace: "shop", name: "support")
let noon = Timestamp("2026-03-01T12:00:00Z") ?? Timestamp(seconds: 0)

extension ChildID {
    static let serviceAccount = ChildID(kind: .serviceAccount, name: "support")
    static let config = ChildID(kind: .configMap, name: "support-config-11111111")
    static let oldConfig = ChildID(kind: .configMap, name: "support-config-00000000")
    static let service = ChildID(kind: .service, name: "support")
    static let deployment = ChildID(kind: .deployment, name: "support")
    static let autoscaler = ChildID(kind: .horizontalPodAutoscaler, name: "support")
    static let scaledObject = ChildID(kind: .scaledObject, name: "support")
    static let volume = ChildID(kind: .persistentVolumeClaim, name: "support-data")
    static let purge = ChildID(kind: .job, name: "support-purge")
}

extension PoolRecord {
    static func fixture(
        generation: Int = 1, finalizers: [String] = [], deletedAt: Timestamp? = nil,
        observedGeneration: Int? = nil
    ) -> PoolRecord {
        PoolRecord(
            uid: poolUID, resourceVersion: "10", generation: generation, finalizers: finalizers,
            deletedAt: deletedAt, manifest: [],
            status: StatusRecord(AgentPoolStatus(observedGeneration: observedGeneration)))
    }
}

extension ChildRecord {
    /// As an apply of the manifest with this digest left it.
    static func fixture(
        _ id: ChildID, digest: UInt64? = 1, owner: Owner = .pool(poolUID), suspicion: UInt64? = nil,
        isTerminating: Bool = false, hasHandover: Bool = false
    ) -> ChildRecord {
        var record = ChildRecord(
            id.kind, ObjectMeta(name: id.name, uid: childUID.text, resourceVersion: "20", generation: 1),
            pool: thePool.name)
        record.digest = digest
        record.owner = owner
        record.suspicion = suspicion
        record.isTerminating = isTerminating
        record.hasHandover = hasHandover
        return record
    }
}

extension DesiredChild {
    static func fixture(
        _ id: ChildID, digest: UInt64 = 1, replicas: Int? = nil, isRecreating: Bool = false
    ) -> DesiredChild {
        DesiredChild(id: id, digest: digest, replicas: replicas, isRecreating: isRecreating)
    }
}

extension DeploymentRecord {
    static func fixture(
        generation: Int = 1, observedGeneration: Int? = 1, wanted: Int = 2, replicas: Int = 2,
        ready: Int = 2, updated: Int = 2, available: Int? = nil, config: String? = ChildID.config.name,
        leavesReplicas: Bool = false, isRecreating: Bool = false, stalled: String? = nil
    ) -> DeploymentRecord {
        var record = DeploymentRecord(
            ObservedObject(
                metadata: ObjectMeta(name: thePool.name, uid: childUID.text, generation: generation)))
        record.observedGeneration = observedGeneration
        record.wanted = wanted
        record.replicas = replicas
        record.ready = ready
        record.updated = updated
        record.available = available ?? ready
        record.config = config
        record.leavesReplicas = leavesReplicas
        record.isRecreating = isRecreating
        record.stalled = stalled
        return record
    }
}

extension ReplicaSetRecord {
    static func fixture(config: String, isInUse: Bool) -> ReplicaSetRecord {
        var record = ReplicaSetRecord(ObservedObject(metadata: ObjectMeta(name: "support-\(config)")))
        record.config = config
        record.isInUse = isInUse
        return record
    }
}

extension JobRecord {
    static func fixture(_ phase: Phase) -> JobRecord {
        var record = JobRecord(
            ObservedObject(metadata: ObjectMeta(name: ChildID.purge.name, uid: childUID.text)))
        record.phase = phase
        return record
    }
}

extension Observed {
    /// A pool of a ServiceAccount, a ConfigMap, a Service and a Deployment of two pods, all as they should be.
    static func fixture() -> Observed {
        let ids = [ChildID.serviceAccount, .config, .service]
        return Observed(
            key: thePool, pool: .fixture(observedGeneration: 1),
            desired: Desired(
                children: ids.map { .fixture($0) } + [.fixture(.deployment, replicas: 2)],
                url: "http://support.shop.svc"),
            children: (ids + [.deployment]).map { .fixture($0) }, deployment: .fixture(),
            replicaSets: [.fixture(config: ChildID.config.name, isInUse: true)])
    }
}

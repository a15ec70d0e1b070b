/// What is remembered of a pool's Deployment, of its ReplicaSets and of its purge Job.
import Kubernetes
import PoolAPI

struct DeploymentRecord: Sendable, Equatable {
    var name: String
    var uid: ObjectUID
    var generation: Int
    /// Nil until the cluster's Deployment controller has looked at the object once.
    var observedGeneration: Int?
    /// As the spec asks for.
    var wanted: Int
    var replicas: Int
    var ready: Int
    var updated: Int
    var available: Int
    /// The ConfigMap that the pod template names.
    var config: String?
    /// Whether the manifest that was applied last left the replicas to an autoscaler.
    var leavesReplicas: Bool
    var isRecreating: Bool
    /// A roll-out has taken longer than it may, in the words of the cluster.
    var stalled: String?

    init(_ object: ObservedObject) {
        name = object.metadata.name
        uid = ObjectUID(object.metadata.uid)
        generation = object.metadata.generation
        let status = object.status
        observedGeneration = status.observedGeneration
        wanted = object.spec.replicas ?? 1
        replicas = status.replicas ?? 0
        ready = status.readyReplicas ?? 0
        updated = status.updatedReplicas ?? 0
        available = status.availableReplicas ?? 0
        config = object.spec.config
        leavesReplicas = object.metadata.annotations[ChildAnnotation.replicasBy] == "autoscaler"
        isRecreating = object.spec.strategy == "Recreate"
        if let progress = object.condition("Progressing"), progress.status == "False",
            progress.reason == "ProgressDeadlineExceeded"
        {
            stalled = progress.message ?? "the roll-out made no progress in time"
        }
    }

    /// Whether the cluster has seen the newest template and all pods are of it.
    var isRolledOut: Bool {
        (observedGeneration ?? 0) >= generation && updated >= wanted && replicas == updated
    }

    /// Whether pods of two templates exist, or will soon.
    var isRolling: Bool { !isRolledOut && stalled == nil }
}

struct ReplicaSetRecord: Sendable, Equatable {
    var name: String
    var config: String
    /// Whether it has pods or is to have some.
    var isInUse: Bool

    init(_ object: ObservedObject) {
        name = object.metadata.name
        config = object.spec.config ?? ""
        isInUse = (object.spec.replicas ?? 1) > 0 || (object.status.replicas ?? 0) > 0
    }
}

struct JobRecord: Sendable, Equatable {
    enum Phase: Sendable, Equatable {
        case running
        case complete
        case failed(String)
    }

    var name: String
    var uid: ObjectUID
    var phase: Phase

    init(_ object: ObservedObject) {
        name = object.metadata.name
        uid = ObjectUID(object.metadata.uid)
        if object.has("Complete") {
            phase = .complete
        } else if let failure = object.condition("Failed"), failure.status == "True" {
            phase = .failed(failure.message ?? failure.reason ?? "it gives no reason")
        } else {
            phase = .running
        }
    }
}

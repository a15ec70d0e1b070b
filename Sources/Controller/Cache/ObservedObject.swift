/// What is read of an object that a pool owns: one narrow type for all kinds, picked out of the JSON without decoding the rest.
import Kubernetes
import PoolAPI

struct ObservedObject: Sendable {
    var metadata: ObjectMeta
    /// What a Deployment, a ReplicaSet or a Job says beside its metadata; of other kinds nobody reads it.
    var spec: Spec
    var status: Status

    struct Spec: Sendable {
        var replicas: Int?
        /// How a Deployment replaces its pods.
        var strategy: String?
        /// The ConfigMap that the pod template names.
        var config: String?
    }

    struct Status: Sendable {
        var observedGeneration: Int?
        var replicas: Int?
        var readyReplicas: Int?
        var updatedReplicas: Int?
        var availableReplicas: Int?
        var conditions: [Condition] = []

        struct Condition: Sendable {
            var type: String
            var status: String
            var reason: String?
            var message: String?
        }
    }

    init(metadata: ObjectMeta, spec: Spec = Spec(), status: Status = Status()) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    /// - Throws: Where the metadata can't be read. Whatever else isn't of the expected form counts as absent.
    init(_ object: JSONSlice) throws {
        self.init(metadata: try ObjectHeader(object).metadata)
        if let json = object["spec"] { spec = Spec(json) }
        if let json = object["status"] { status = Status(json) }
    }

    /// Whether the condition of this type is true.
    func has(_ condition: String) -> Bool { self.condition(condition)?.status == "True" }

    func condition(_ type: String) -> Status.Condition? {
        status.conditions.first { $0.type == type }
    }
}

extension ObservedObject.Spec {
    init(_ json: JSONSlice) {
        replicas = json["replicas"]?.integer
        strategy = json["strategy"]?["type"]?.string
        config = json["template"]?["metadata"]?["annotations"]?[PoolNames.configAnnotation]?.string
    }
}

extension ObservedObject.Status {
    init(_ json: JSONSlice) {
        observedGeneration = json["observedGeneration"]?.integer
        replicas = json["replicas"]?.integer
        readyReplicas = json["readyReplicas"]?.integer
        updatedReplicas = json["updatedReplicas"]?.integer
        availableReplicas = json["availableReplicas"]?.integer
        conditions = (json["conditions"]?.elements ?? []).compactMap { condition in
            guard let type = condition["type"]?.string, let status = condition["status"]?.string else {
                return nil
            }
            return Condition(
                type: type, status: status, reason: condition["reason"]?.string,
                message: condition["message"]?.string)
        }
    }
}

/// What is read of an object that a pool owns: one narrow type for all kinds, so that each costs little to decode.
import Kubernetes

struct ObservedObject: Decodable, Sendable {
    var metadata: ObjectMeta
    var spec: Spec?
    var status: Status?

    struct Spec: Decodable, Sendable {
        var replicas: Int?
        var strategy: Strategy?
        var template: Template?

        struct Strategy: Decodable, Sendable { var type: String? }

        struct Template: Decodable, Sendable {
            var metadata: Metadata?
            struct Metadata: Decodable, Sendable { var annotations: [String: String]? }
        }
    }

    struct Status: Decodable, Sendable {
        var observedGeneration: Int?
        var replicas: Int?
        var readyReplicas: Int?
        var updatedReplicas: Int?
        var availableReplicas: Int?
        var conditions: [Condition]?

        struct Condition: Decodable, Sendable {
            var type: String
            var status: String
            var reason: String?
            var message: String?
        }
    }

    init(metadata: ObjectMeta, spec: Spec? = nil, status: Status? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    private enum CodingKeys: String, CodingKey { case metadata, spec, status }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        metadata = try container.decode(ObjectMeta.self, forKey: .metadata)
        // Kinds that aren't read further may spell these names as they like; their metadata counts all the same.
        spec = try? container.decodeIfPresent(Spec.self, forKey: .spec)
        status = try? container.decodeIfPresent(Status.self, forKey: .status)
    }

    /// Whether the condition of this type is true.
    func has(_ condition: String) -> Bool {
        status?.conditions?.contains { $0.type == condition && $0.status == "True" } ?? false
    }

    func condition(_ type: String) -> Status.Condition? {
        status?.conditions?.first { $0.type == type }
    }
}

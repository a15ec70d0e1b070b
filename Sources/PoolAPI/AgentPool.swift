/// An AgentPool object: what a manifest declares and what the cluster reports about it.

public struct AgentPool: Sendable, Equatable, Decodable {
    public static let group = "agentpool.dev"
    public static let version = "v1alpha1"
    public static let apiVersion = "\(group)/\(version)"
    public static let kind = "AgentPool"

    public var metadata: Metadata
    public var spec: AgentPoolSpec
    public var status: AgentPoolStatus?

    /// The pool's place in a cluster; on a laptop the namespace is `default`.
    public var reference: PoolReference {
        PoolReference(namespace: metadata.namespace, name: metadata.name)
    }

    /// The part of an object's metadata that AgentPool reads.
    public struct Metadata: Sendable, Equatable, Decodable {
        /// At most 40 characters, starts with a letter: it becomes the name of Services.
        public var name: String
        public var namespace: String
        public var labels: [String: String]
        public var annotations: [String: String]
    }
}

/// Names one pool among all pools of a cluster.
public struct PoolReference: Sendable, Hashable, Codable {
    public var namespace: String
    public var name: String

    public init(namespace: String = "default", name: String) {
        self.namespace = namespace
        self.name = name
    }
}

extension PoolReference: CustomStringConvertible {
    /// `namespace/name`, the first part of every principal and the default of `spec.memory.scope`.
    public var description: String { "\(namespace)/\(name)" }
}

/// The ports of a worker, in a pod and on a laptop alike.
public enum WorkerPort {
    /// Chat, sessions and memories.
    public static let `public` = 8080
    /// Health, metrics, load and drain; never on an Ingress.
    public static let admin = 9090
    /// Requests that one worker of a pool hands to another; open to the pool's own pods only.
    public static let peer = 9091
}

/// Everything that a pool's manifests are made from: the pool, the operator's settings, what the cluster can do.
import Kubernetes
import PoolAPI

public struct PoolContext: Sendable {
    /// Complete: every default is filled in.
    public var pool: AgentPool
    /// The AgentPool object's; nil where there is no such object yet, and then nothing names an owner.
    public var uid: String?
    public var settings: OperatorSettings
    public var features: ClusterFeatures

    public init(pool: AgentPool, uid: String?, settings: OperatorSettings, features: ClusterFeatures) {
        self.pool = pool
        self.uid = uid
        self.settings = settings
        self.features = features
    }

    var name: String { pool.metadata.name }
    var namespace: String { pool.metadata.namespace }
    var spec: AgentPoolSpec { pool.spec }

    /// Whether its pods hand requests to each other: without Redis a pool is one pod.
    var hasPeers: Bool { spec.memory.redis != nil }
}

/// What the operator's own flags say.
public struct OperatorSettings: Sendable, Equatable {
    /// The worker's image where a pool names none: the operator's own.
    public var image: String
    /// The operator's own namespace, whose pods may ask workers for their load.
    public var namespace: String
    /// The namespace of KEDA's operator.
    public var kedaNamespace: String
    /// Namespaces whose pods may read metrics.
    public var monitoringNamespaces: [String]

    public init(
        image: String, namespace: String = "agentpool-system", kedaNamespace: String = "keda",
        monitoringNamespaces: [String] = ["monitoring"]
    ) {
        self.image = image
        self.namespace = namespace
        self.kedaNamespace = kedaNamespace
        self.monitoringNamespaces = monitoringNamespaces
    }
}

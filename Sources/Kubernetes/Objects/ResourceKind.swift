/// Names a kind of object in a cluster's API: where its objects are found and what they call themselves.

public struct ResourceKind: Sendable, Hashable {
    /// Empty for the core group.
    public var group: String
    public var version: String
    /// As objects write it, such as `Deployment`.
    public var kind: String
    /// As paths write it, such as `deployments`.
    public var plural: String
    public var isNamespaced: Bool

    public init(group: String, version: String, kind: String, plural: String, isNamespaced: Bool = true) {
        self.group = group
        self.version = version
        self.kind = kind
        self.plural = plural
        self.isNamespaced = isNamespaced
    }

    /// `apps/v1`, or `v1` for the core group.
    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
}

extension ResourceKind {
    public static let agentPools = ResourceKind(
        group: "agentpool.dev", version: "v1alpha1", kind: "AgentPool", plural: "agentpools")
    public static let pods = ResourceKind(group: "", version: "v1", kind: "Pod", plural: "pods")
    public static let services = ResourceKind(group: "", version: "v1", kind: "Service", plural: "services")
    public static let serviceAccounts = ResourceKind(
        group: "", version: "v1", kind: "ServiceAccount", plural: "serviceaccounts")
    public static let configMaps = ResourceKind(
        group: "", version: "v1", kind: "ConfigMap", plural: "configmaps")
    public static let persistentVolumeClaims = ResourceKind(
        group: "", version: "v1", kind: "PersistentVolumeClaim", plural: "persistentvolumeclaims")
    public static let namespaces = ResourceKind(
        group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false)
    public static let deployments = ResourceKind(
        group: "apps", version: "v1", kind: "Deployment", plural: "deployments")
    public static let replicaSets = ResourceKind(
        group: "apps", version: "v1", kind: "ReplicaSet", plural: "replicasets")
    public static let jobs = ResourceKind(group: "batch", version: "v1", kind: "Job", plural: "jobs")
    public static let ingresses = ResourceKind(
        group: "networking.k8s.io", version: "v1", kind: "Ingress", plural: "ingresses")
    public static let networkPolicies = ResourceKind(
        group: "networking.k8s.io", version: "v1", kind: "NetworkPolicy", plural: "networkpolicies")
    public static let podDisruptionBudgets = ResourceKind(
        group: "policy", version: "v1", kind: "PodDisruptionBudget", plural: "poddisruptionbudgets")
    public static let horizontalPodAutoscalers = ResourceKind(
        group: "autoscaling", version: "v2", kind: "HorizontalPodAutoscaler",
        plural: "horizontalpodautoscalers")
    public static let scaledObjects = ResourceKind(
        group: "keda.sh", version: "v1alpha1", kind: "ScaledObject", plural: "scaledobjects")
    public static let httpRoutes = ResourceKind(
        group: "gateway.networking.k8s.io", version: "v1", kind: "HTTPRoute", plural: "httproutes")
    public static let leases = ResourceKind(
        group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases")
    public static let events = ResourceKind(
        group: "events.k8s.io", version: "v1", kind: "Event", plural: "events")
    public static let customResourceDefinitions = ResourceKind(
        group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions", isNamespaced: false)
}

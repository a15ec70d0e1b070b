/// A kind that the stand-in serves: built in, or from a CustomResourceDefinition that a test applied.
import PoolAPI

struct ResourceName: Hashable, Sendable {
    var group: String
    var plural: String
}

struct ServedResource: Sendable {
    var group: String
    /// The served version; the stand-in serves one of each kind.
    var version: String
    var kind: String
    var plural: String
    var isNamespaced = true
    var subresources: Set<String> = []
    var rules = ListRules.builtIn
    /// Of a custom resource: fills in defaults.
    var schema: JSONValue?

    var name: ResourceName { ResourceName(group: group, plural: plural) }
    var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    var hasStatus: Bool { subresources.contains("status") }

    /// What a message calls one of them, such as `deployments.apps "support"`.
    func describe(_ name: String) -> String { "\(plural)\(group.isEmpty ? "" : ".\(group)") \"\(name)\"" }

    /// What a CustomResourceDefinition describes; nil where it lacks what the stand-in needs.
    init?(definition: JSONValue) {
        let spec = definition["spec"]
        let versions = spec?["versions"]?.items ?? []
        guard let group = spec?["group"]?.text, let names = spec?["names"], let kind = names["kind"]?.text,
            let plural = names["plural"]?.text,
            let version = versions.first(where: { $0["storage"] == true }), let name = version["name"]?.text
        else { return nil }
        let schema = version["schema"]?["openAPIV3Schema"] ?? .object([:])
        self.init(
            group: group, version: name, kind: kind, plural: plural,
            isNamespaced: spec?["scope"] == "Namespaced",
            subresources: Set((version["subresources"]?.members ?? [:]).keys),
            rules: ListRules(schema: schema),
            schema: schema)
    }

    init(
        group: String, version: String, kind: String, plural: String, isNamespaced: Bool = true,
        subresources: Set<String> = [], rules: ListRules = .builtIn, schema: JSONValue? = nil
    ) {
        self.group = group
        self.version = version
        self.kind = kind
        self.plural = plural
        self.isNamespaced = isNamespaced
        self.subresources = subresources
        self.rules = rules
        self.schema = schema
    }

    static let builtIn: [ServedResource] = [
        .init(
            group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false,
            subresources: ["status"]),
        .init(group: "", version: "v1", kind: "Pod", plural: "pods", subresources: ["status"]),
        .init(group: "", version: "v1", kind: "Service", plural: "services", subresources: ["status"]),
        .init(group: "", version: "v1", kind: "ServiceAccount", plural: "serviceaccounts"),
        .init(group: "", version: "v1", kind: "ConfigMap", plural: "configmaps"),
        .init(
            group: "", version: "v1", kind: "PersistentVolumeClaim", plural: "persistentvolumeclaims",
            subresources: ["status"]),
        .init(
            group: "apps", version: "v1", kind: "Deployment", plural: "deployments",
            subresources: ["status", "scale"]),
        .init(
            group: "apps", version: "v1", kind: "ReplicaSet", plural: "replicasets",
            subresources: ["status", "scale"]),
        .init(
            group: "apps", version: "v1", kind: "StatefulSet", plural: "statefulsets",
            subresources: ["status", "scale"]),
        .init(group: "batch", version: "v1", kind: "Job", plural: "jobs", subresources: ["status"]),
        .init(
            group: "networking.k8s.io", version: "v1", kind: "Ingress", plural: "ingresses",
            subresources: ["status"]),
        .init(group: "networking.k8s.io", version: "v1", kind: "NetworkPolicy", plural: "networkpolicies"),
        .init(
            group: "policy", version: "v1", kind: "PodDisruptionBudget", plural: "poddisruptionbudgets",
            subresources: ["status"]),
        .init(
            group: "autoscaling", version: "v2", kind: "HorizontalPodAutoscaler",
            plural: "horizontalpodautoscalers", subresources: ["status"]),
        .init(group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases"),
        .init(group: "events.k8s.io", version: "v1", kind: "Event", plural: "events"),
        .init(
            group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
            plural: "customresourcedefinitions", isNamespaced: false, subresources: ["status"]),
    ]
}

/// The discovery documents of what is served.
struct Discovery {
    var resources: [ServedResource]

    var groups: JSONValue {
        let named = Dictionary(grouping: resources.filter { !$0.group.isEmpty }, by: \.group)
        return [
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": .array(named.keys.sorted().compactMap { group(named: $0) }),
        ]
    }

    func group(named name: String) -> JSONValue? {
        let versions = Set(resources.filter { $0.group == name }.map(\.version)).sorted()
        guard let first = versions.first else { return nil }
        func entry(_ version: String) -> JSONValue {
            ["groupVersion": .string("\(name)/\(version)"), "version": .string(version)]
        }
        return [
            "kind": "APIGroup", "apiVersion": "v1", "name": .string(name),
            "versions": .array(versions.map(entry)), "preferredVersion": entry(first),
        ]
    }

    func resources(group: String, version: String) -> JSONValue? {
        let served = resources.filter { $0.group == group && $0.version == version }
        guard !served.isEmpty else { return nil }
        let verbs: JSONValue = ["create", "delete", "get", "list", "patch", "update", "watch"]
        return [
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": .string(group.isEmpty ? version : "\(group)/\(version)"),
            "resources": .array(
                served.flatMap { resource in
                    ([""] + resource.subresources.sorted().map { "/\($0)" }).map { suffix in
                        [
                            "name": .string(resource.plural + suffix), "kind": .string(resource.kind),
                            "singularName": "", "namespaced": .bool(resource.isNamespaced), "verbs": verbs,
                        ]
                    }
                }),
        ]
    }
}

/// The HTTPRoute of a pool, as far as the served schema lets a route say it.
import Kubernetes
import PoolAPI

enum PublicRoute {
    /// How long a gateway keeps a session on its pod; as an Ingress's default.
    private static let sessionLifetime = "48h"

    static func desired(_ context: PoolContext) -> Child? {
        guard let gateway = context.spec.gateway, context.features.httpRoute != .absent else { return nil }
        var rule: [String: JSONValue] = [
            "matches": [["path": ["type": "PathPrefix", "value": "/"]]],
            "backendRefs": [
                [
                    "group": "", "kind": "Service", "name": .string(PoolNames.main(context.name)),
                    "port": .integer(PublicService.port), "weight": 1,
                ]
            ],
        ]
        if case .withSessionPersistence(let fields) = context.features.httpRoute {
            rule["sessionPersistence"] = sessionPersistence(fields)
        }
        var spec: [String: JSONValue] = [
            "parentRefs": .array(gateway.parentRefs.map(parentRef)), "rules": [.object(rule)],
        ]
        if !gateway.hostnames.isEmpty { spec["hostnames"] = .texts(gateway.hostnames) }
        return Child(.httpRoutes, PoolNames.main(context.name), of: context, ["spec": .object(spec)])
    }

    static func limitation(_ context: PoolContext) -> Limitation? {
        guard context.spec.gateway != nil else { return nil }
        switch context.features.httpRoute {
        case .absent:
            return Limitation(
                reason: "GatewayUnavailable",
                message: "the cluster has no HTTPRoute, so the pool is not published: install the Gateway API"
            )
        case .standard:
            return Limitation(
                reason: "AffinityUnavailable",
                message:
                    "the cluster's HTTPRoute has no sessionPersistence, so a session's requests may reach any pod: "
                    + "install the experimental channel of the Gateway API, or use an ingress")
        case .withSessionPersistence:
            return nil
        }
    }

    private static func parentRef(_ reference: AgentPoolSpec.Gateway.ParentRef) -> JSONValue {
        var members: [String: JSONValue] = [
            "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": .string(reference.name),
        ]
        if let namespace = reference.namespace { members["namespace"] = .string(namespace) }
        return .object(members)
    }

    /// The cookie's name moved between the releases of the Gateway API; only what is served may be sent.
    private static func sessionPersistence(_ fields: Set<String>) -> JSONValue {
        var members: [String: JSONValue] = [:]
        if fields.contains("type") { members["type"] = "Cookie" }
        if fields.contains("absoluteTimeout") { members["absoluteTimeout"] = .string(sessionLifetime) }
        let name = JSONValue.string(PoolNames.routeCookie)
        if fields.contains("sessionName") {
            members["sessionName"] = name
        } else if let parent = ["cookie", "cookieConfig"].first(where: { fields.contains("\($0).name") }) {
            members[parent] = ["name": name]
        }
        return .object(members)
    }
}

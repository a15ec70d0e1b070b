/// What a cluster serves beside the kinds that every cluster has, as far as pools depend on it.

public struct ClusterFeatures: Sendable, Equatable {
    /// What the served `HTTPRoute` can say.
    public enum HTTPRouteSupport: Sendable, Equatable {
        /// There is no such kind.
        case absent
        /// Without `sessionPersistence`: a route that has it would be refused whole.
        case standard
        /// - Parameter fields: what `sessionPersistence` may have, one level deep: `sessionName`, `type`,
        ///   `cookieConfig`, `cookieConfig.lifetimeType`, `cookie.name` and so on; which of them are there differs
        ///   between the releases of the Gateway API.
        case withSessionPersistence(fields: Set<String>)
    }

    /// `ScaledObject` of keda.sh/v1alpha1.
    public var hasKEDA: Bool
    public var httpRoute: HTTPRouteSupport
    /// Such as `v1.34.1`; empty where the server doesn't say.
    public var serverVersion: String

    public init(hasKEDA: Bool = false, httpRoute: HTTPRouteSupport = .absent, serverVersion: String = "") {
        self.hasKEDA = hasKEDA
        self.httpRoute = httpRoute
        self.serverVersion = serverVersion
    }
}

extension KubernetesClient {
    /// Reads what the cluster serves now; kinds come and go while a controller runs.
    public func features() async throws(APIError) -> ClusterFeatures {
        let version = JSONSlice(try await bytes(.version))["gitVersion"]?.string ?? ""
        let hasKEDA = try await serves(.scaledObjects)
        guard try await serves(.httpRoutes) else {
            return ClusterFeatures(hasKEDA: hasKEDA, serverVersion: version)
        }
        return ClusterFeatures(hasKEDA: hasKEDA, httpRoute: try await httpRoute(), serverVersion: version)
    }

    /// Whether the server has this kind, in this group and version.
    public func serves(_ kind: ResourceKind) async throws(APIError) -> Bool {
        do {
            let list = JSONSlice(try await bytes(.discovery(group: kind.group, version: kind.version)))
            return (list["resources"]?.elements ?? []).contains { $0["name"]?.string == kind.plural }
        } catch {
            if error.isNotFound { return false }
            throw error
        }
    }

    private func httpRoute() async throws(APIError) -> ClusterFeatures.HTTPRouteSupport {
        let kind = ResourceKind.httpRoutes
        do {
            let fields = sessionPersistence(
                in: JSONSlice(try await bytes(.schema(group: kind.group, version: kind.version))))
            return fields.isEmpty ? .standard : .withSessionPersistence(fields: fields)
        } catch {
            // A server that shows no schemas: only what every channel has can be relied on.
            if error.isNotFound || error.isForbidden { return .standard }
            throw error
        }
    }
}

/// The fields of `sessionPersistence` in an OpenAPI document of the Gateway API, as in ``ClusterFeatures``; empty
/// where its `HTTPRoute` has none.
func sessionPersistence(in document: JSONSlice) -> Set<String> {
    let schemas = document["components"]?["schemas"]?.members ?? []
    guard let route = schemas.first(where: { $0.name.hasSuffix(".HTTPRoute") })?.value,
        let rule = route["properties"]?["spec"]?["properties"]?["rules"]?["items"],
        let persistence = rule["properties"]?["sessionPersistence"]?["properties"]
    else { return [] }
    var fields: Set<String> = []
    for (name, schema) in persistence.members {
        fields.insert(name)
        for (inner, _) in schema["properties"]?.members ?? [] { fields.insert("\(name).\(inner)") }
    }
    return fields
}

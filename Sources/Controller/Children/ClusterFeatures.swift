/// What a cluster serves beside the kinds that every cluster has, as far as pools depend on it.

public struct ClusterFeatures: Sendable, Equatable {
    /// What the served `HTTPRoute` can say.
    public enum HTTPRouteSupport: Sendable, Equatable {
        /// There is no such kind.
        case absent
        /// Without `sessionPersistence`: a route that has it would be refused whole.
        case standard
        /// - Parameter fields: what `sessionPersistence` may have, one level deep, such as `cookie.name`.
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

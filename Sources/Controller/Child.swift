/// One object that a pool owns, as the controller would apply it.
import Kubernetes
import PoolAPI

public struct Child: Sendable, Equatable {
    public var kind: ResourceKind
    public var name: String
    /// The whole manifest: apiVersion, kind, metadata with labels and owner, and what the kind has beside.
    public var manifest: JSONValue

    public init(kind: ResourceKind, name: String, manifest: JSONValue) {
        self.kind = kind
        self.name = name
        self.manifest = manifest
    }
}

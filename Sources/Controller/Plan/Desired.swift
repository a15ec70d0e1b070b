/// What a pool's spec asks of the cluster: its children, ready to be sent, and what its owner should know of them.
import Crypto
import Kubernetes
import PoolAPI

struct Desired: Sendable, Equatable {
    /// In the order in which they are applied.
    var children: [DesiredChild]
    var findings: [Finding]
    /// Where clients reach the pool.
    var url: String
    /// Whether the pool's memory is forgotten with it.
    var isPurged: Bool
    /// What forgets it; nil where nothing of it outlives the pool's objects.
    var purge: DesiredChild?
    /// How long a pod may take to end.
    var drain: Duration

    /// - Throws: What `Children.desired` throws.
    init(_ context: PoolContext) throws {
        let pool = context.pool
        children = try Children.desired(context).map { try DesiredChild($0) }
        findings = try PoolFindings.of(context)
        url = PoolURL.of(pool)
        isPurged = pool.spec.memory.reclaimPolicy == .delete
        purge = try PurgeJob.isNeeded(pool.spec) ? DesiredChild(PurgeJob.desired(context)) : nil
        drain = pool.spec.drain.delay.duration + pool.spec.drain.timeout.duration
    }

    init(
        children: [DesiredChild], findings: [Finding] = [], url: String = "", isPurged: Bool = false,
        purge: DesiredChild? = nil, drain: Duration = .zero
    ) {
        self.children = children
        self.findings = findings
        self.url = url
        self.isPurged = isPurged
        self.purge = purge
        self.drain = drain
    }

    func child(_ id: ChildID) -> DesiredChild? { children.first { $0.id == id } }

    /// The same, to be compared but not to be sent.
    var withoutManifests: Desired {
        var light = self
        for index in light.children.indices { light.children[index].body = nil }
        light.purge?.body = nil
        return light
    }
}

struct DesiredChild: Sendable, Equatable {
    var id: ChildID
    /// Of the manifest as its builder made it.
    var digest: UInt64
    /// The manifest with the annotations of `ChildAnnotation`, as JSON; nil where it was left out.
    var body: [UInt8]?
    /// Of a Deployment: the replicas that the pool fixes; nil where an autoscaler sets them.
    var replicas: Int?
    /// Of a Deployment: whether all pods end before the first new one starts.
    var isRecreating: Bool

    init(_ child: Child) throws(UnknownChildKind) {
        guard let kind = ChildKind(child.kind) else { throw UnknownChildKind(kind: child.kind.kind) }
        id = ChildID(kind: kind, name: child.name)
        let digest = ManifestDigest.of(child.manifest)
        var annotations: [String: JSONValue] = [
            PoolNames.digestAnnotation: .string(HexText.of(digest))
        ]
        self.digest = digest
        isRecreating = child.manifest["spec"]?["strategy"]?["type"] == "Recreate"
        replicas = nil
        if kind == .deployment {
            if case .integer(let count)? = child.manifest["spec"]?["replicas"] { replicas = count }
            annotations[ChildAnnotation.replicasBy] = replicas == nil ? "autoscaler" : "pool"
        }
        body = child.manifest.annotated(annotations).bytes()
    }

    init(
        id: ChildID, digest: UInt64, body: [UInt8] = [], replicas: Int? = nil,
        isRecreating: Bool = false
    ) {
        self.id = id
        self.digest = digest
        self.body = body
        self.replicas = replicas
        self.isRecreating = isRecreating
    }
}

/// A builder made an object of a kind that the controller doesn't watch.
struct UnknownChildKind: Error, CustomStringConvertible {
    var kind: String
    var description: String { "\(kind) is no kind that the controller watches" }
}

enum ManifestDigest {
    /// The first eight bytes of the SHA-256 of the canonical form.
    static func of(_ manifest: JSONValue) -> UInt64 {
        SHA256.hash(data: manifest.bytes()).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension JSONValue {
    /// The object with these annotations beside those that it has.
    func annotated(_ annotations: [String: JSONValue]) -> JSONValue {
        var object = self
        var metadata = self["metadata"] ?? [:]
        var members: [String: JSONValue] = [:]
        if case .object(let known)? = metadata["annotations"] { members = known }
        metadata["annotations"] = .object(members.merging(annotations) { $1 })
        object["metadata"] = metadata
        return object
    }
}

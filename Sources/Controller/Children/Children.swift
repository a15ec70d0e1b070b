/// Decides which objects a pool has, and in which order they are applied.
import Kubernetes
import PoolAPI

public enum Children {
    /// The pool's objects in the order of their apply: what a pod needs comes before the pods, what sends it requests after them.
    ///
    /// Equal contexts give equal manifests, byte for byte. No manifest holds a null or the annotation of its own digest.
    /// - Throws: `ManifestError` where the pool's partial pod template can't be merged, and where a number can't be encoded.
    public static func desired(_ context: PoolContext) throws -> [Child] {
        let config = try PoolConfig.desired(context)
        let template = try PodTemplate.worker(context, config: config.name)
        return [
            WorkerAccount.desired(context), config, DataVolume.desired(context),
            PublicService.desired(context),
            AdminService.desired(context), PodAccess.desired(context), Disruption.desired(context),
            WorkerDeployment.desired(context, template: template), LoadScaling.desired(context),
            CPUScaling.desired(context), PublicIngress.desired(context), PublicRoute.desired(context),
        ].compactMap { $0 }
    }

    /// What the pool asks for and this cluster can't give; the rest of it works.
    public static func limitations(_ context: PoolContext) -> [Limitation] {
        [PublicRoute.limitation(context), CPUScaling.limitation(context)].compactMap { $0 }
    }
}

/// A wish of the specification that the cluster at hand can't fulfil.
public struct Limitation: Sendable, Equatable {
    /// A stable word for programs, such as `AffinityUnavailable`.
    public var reason: String
    /// A sentence for people, with the mend.
    public var message: String
}

extension Child {
    /// An object of a pool with the labels, the namespace and the owner that all of them have.
    init(
        _ kind: ResourceKind, _ name: String, of context: PoolContext, annotations: [String: String] = [:],
        isOwned: Bool = true, _ members: [String: JSONValue]
    ) {
        var metadata: [String: JSONValue] = [
            "name": .string(name), "namespace": .string(context.namespace),
            "labels": .texts(PoolNames.labels(context.name)),
        ]
        if !annotations.isEmpty { metadata["annotations"] = .texts(annotations) }
        if isOwned, let uid = context.uid {
            metadata["ownerReferences"] = [
                [
                    "apiVersion": .string(AgentPool.apiVersion), "kind": .string(AgentPool.kind),
                    "name": .string(context.name), "uid": .string(uid), "controller": true,
                    "blockOwnerDeletion": true,
                ]
            ]
        }
        var manifest = members
        manifest["apiVersion"] = .string(kind.apiVersion)
        manifest["kind"] = .string(kind.kind)
        manifest["metadata"] = .object(metadata)
        self.init(kind: kind, name: name, manifest: JSONValue.object(manifest).withoutNulls())
    }
}

extension PoolContext {
    /// What the pool's Services, its Deployment and its budget select the workers' pods by.
    var podSelector: JSONValue { .texts([PoolNames.poolLabel: name]) }
}

extension JSONValue {
    static func texts(_ texts: [String: String]) -> JSONValue { .object(texts.mapValues(JSONValue.string)) }
    static func texts(_ texts: [String]) -> JSONValue { .array(texts.map(JSONValue.string)) }
}

extension DurationText {
    /// Whole seconds, rounded up.
    var seconds: Int {
        let parts = duration.components
        return Int(parts.seconds) + (parts.attoseconds > 0 ? 1 : 0)
    }
}

/// What a pool's owner should know of a spec that can be read, and where the pool's clients find it.
import Kubernetes
import PoolAPI

enum PoolFindings {
    /// - Throws: As `AgentPoolSpec.unsupported`, and `UnknownLimitation`.
    static func of(_ context: PoolContext) throws -> [Finding] {
        let spec = context.pool.spec
        var findings = try spec.unsupported().map {
            Finding(.unsupportedField, $0.path, "\($0.message); \($0.mend)")
        }
        for limitation in Children.limitations(context) {
            guard let reason = Finding.Reason(rawValue: limitation.reason) else {
                throw UnknownLimitation(reason: limitation.reason)
            }
            findings.append(Finding(reason, "", limitation.message))
        }
        if spec.memory.redis == nil, spec.memory.embedded.storage == nil {
            findings.append(
                Finding(
                    .ephemeral, "spec.memory",
                    "memory goes with its pod; name Redis and Milvus, or set embedded.storage"))
        }
        return findings
    }

    /// What is wrong with a spec that can't be read.
    static func of(_ error: any Error) -> [Finding] {
        guard let error = error as? ManifestError else {
            return [Finding(.invalidSpec, "spec", "can't be turned into objects: \(error)")]
        }
        return error.problems.map { Finding(.invalidSpec, $0.path, "\($0.message); \($0.mend)") }
    }
}

/// A builder names a limitation that has no place among the findings.
struct UnknownLimitation: Error, CustomStringConvertible {
    var reason: String
    var description: String { "\(reason) is no reason that a status can give" }
}

enum PoolURL {
    /// The address that clients use: the Ingress's or the route's host, else the Service's name in the cluster.
    static func of(_ pool: AgentPool) -> String {
        if let ingress = pool.spec.ingress {
            return "\(ingress.tlsSecretName == nil ? "http" : "https")://\(ingress.host)"
        }
        // Whether a Gateway's listener speaks TLS is not the pool's to know.
        if let host = pool.spec.gateway?.hostnames.first { return "http://\(host)" }
        return "http://\(PoolNames.main(pool.metadata.name)).\(pool.metadata.namespace).svc"
    }
}

/// The ConfigMap that a pool's pods read, named by its content and immutable: a pod that crashes later starts on what it started on before.
import Crypto
import Kubernetes
import PoolAPI

enum PoolConfig {
    static func desired(_ context: PoolContext) throws -> Child {
        let text = try WorkerConfig(pool: context.pool.reference, spec: context.spec.ofWorker).encoded()
        let name = PoolNames.config(context.name, digest: digest(of: text))
        return Child(
            .configMaps, name, of: context,
            ["immutable": true, "data": .texts([PoolNames.configKey: text])])
    }

    private static func digest(of text: String) -> String {
        SHA256.hash(data: Array(text.utf8)).prefix(4).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }
}

extension AgentPoolSpec {
    /// The specification without what only the controller acts on: a change of scale or of a route makes no pod start anew.
    fileprivate var ofWorker: AgentPoolSpec {
        var spec = self
        spec.replicas = 1
        spec.autoscaling = nil
        spec.ingress = nil
        spec.gateway = nil
        spec.image = nil
        spec.pod = nil
        spec.memory.embedded.storage = nil
        spec.memory.reclaimPolicy = .retain
        return spec
    }
}

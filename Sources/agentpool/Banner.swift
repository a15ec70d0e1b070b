/// What `run` prints once it serves: where, with which model and stores, and a command that works as it stands.
import PoolAPI
import Worker

struct Banner: Sendable {
    let config: WorkerConfig
    let settings: WorkerSettings

    func text(_ addresses: WorkerAddresses) -> String {
        let spec = config.spec
        let host = settings.host == "0.0.0.0" || settings.host == "::" ? "127.0.0.1" : settings.host
        let url = "http://\(host):\(addresses.port)"
        let agents = spec.agents.map { $0.name == spec.entryAgent ? "\($0.name) (entry)" : $0.name }
        let key = spec.auth.mode == .none ? "" : " -H \"Authorization: Bearer $AGENTPOOL_API_KEY\""
        return """
            agentpool \(config.pool) is ready

              public   \(url)
              admin    http://\(settings.adminHost):\(addresses.adminPort)  (health, metrics, load)
              agents   \(agents.joined(separator: ", "))
              model    \(modelLine)
              memory   L1 \(spec.memory.session.maxBytes.text), \(tiers); \
            a batch every \(spec.memory.buffer.rounds) turns
              vectors  \(embeddingLine)

              curl -N \(url)/v1/chat/completions -H 'Content-Type: application/json' -H 'X-Session-Id: demo'\(key) \
            -d '{"model": "\(spec.entryAgent)", "stream": true, "messages": [{"role": "user", "content": "My locker code is 4711."}]}'

            """
    }

    private var tiers: String {
        let memory = config.spec.memory
        let embedded = "embedded in \(settings.dataDirectory)"
        switch (memory.redis, memory.milvus) {
        case (nil, nil): return "L2 and L3 \(embedded)"
        case (let redis, let milvus):
            let second = redis.map { "Redis \($0.mode.rawValue) at \($0.addresses.joined(separator: ", "))" }
            let third = milvus.map { "Milvus at \($0.address), collection \($0.collection)" }
            return "L2 \(second ?? embedded), L3 \(third ?? embedded)"
        }
    }

    private var modelLine: String {
        let used = spec.models.filter { model in spec.agents.contains { $0.model == model.name } }
        return used.map(Self.describe).joined(separator: ", ")
    }

    private var embeddingLine: String {
        spec.models.filter { $0.name == spec.memory.embeddingModel }.map(Self.describe).joined()
    }

    private var spec: AgentPoolSpec { config.spec }

    private static func describe(_ model: AgentPoolSpec.Model) -> String {
        switch model.provider {
        case .builtin:
            model.isEmbeddingModel
                ? "built-in embedder (hashed n-grams, \(model.dimensions ?? 0) dimensions)"
                : "built-in offline model (no language model: it answers from what it remembers)"
        case .openai: "\(model.model) at \(model.baseURL ?? "")"
        }
    }
}

// What a valid manifest becomes: its values and its defaults.
import Testing

@testable import PoolAPI

@Suite struct ManifestTests {
    @Test("One agent with instructions is a complete pool of one pod with embedded stores")
    func defaults() throws {
        let pool = try #require(
            try ManifestFile.parse(yaml: Golden.text("examples/minimal.yaml")).pools.first)
        let spec = pool.spec
        #expect(pool.reference == PoolReference(namespace: "default", name: "minimal"))
        #expect(spec.entryAgent == "assistant")
        #expect(spec.agents.map(\.model) == [AgentPoolSpec.builtinChatModel])
        #expect(spec.models.map(\.name) == ["builtin", "builtin-embedding"])
        #expect(spec.models.map(\.provider) == [.builtin, .builtin])
        #expect(spec.models.map(\.dimensions) == [nil, AgentPoolSpec.builtinEmbeddingDimensions])
        #expect(spec.guard.maxInputCharacters == 32768 && spec.guard.forbiddenPatterns.isEmpty)
        #expect(spec.memory.scope == "default/minimal")
        #expect(spec.memory.session.maxBytes.bytes == 512 << 20)
        #expect(spec.memory.session.idleTTL.duration == .seconds(900))
        #expect(spec.memory.redis == nil && spec.memory.milvus == nil && spec.memory.embedded.storage == nil)
        #expect(spec.memory.checkpointTTL == .seconds(168 * 3600))
        #expect(spec.memory.buffer.rounds == 10)
        #expect(spec.memory.recall.topK == 6 && spec.memory.recall.minScore == 0.35)
        #expect(spec.memory.recall.deadline.duration == .milliseconds(80))
        #expect(spec.memory.recall.embeddingDeadline.duration == .milliseconds(150))
        #expect(spec.memory.embeddingModel == AgentPoolSpec.builtinEmbeddingModel)
        #expect(spec.concurrency.maxRunningTurns == 256 && spec.concurrency.maxQueuedTurns == 512)
        #expect(spec.concurrency.turnTimeout.duration == .seconds(600))
        #expect(spec.drain.delay.duration == .seconds(15) && spec.drain.timeout.duration == .seconds(600))
        #expect(spec.auth.mode == AgentPoolSpec.Auth.Mode.none)
        #expect(spec.replicas == 1 && spec.autoscaling == nil)
    }

    @Test("The example of a whole pool parses with each field as it is written")
    func support() throws {
        let manifest = try ManifestFile.parse(yaml: Golden.text("examples/support.yaml"))
        let spec = try #require(manifest.pools.first).spec
        #expect(spec.models[0].parameters == ["temperature": 0.2])
        #expect(spec.models[0].apiKeySecretRef == SecretKeyRef(name: "llm", key: "api-key"))
        #expect(spec.models[1].isEmbeddingModel)
        #expect(spec.agents[0].handoffs == ["billing"])
        #expect(spec.mcpServers[0].requireApproval == ["refund"])
        #expect(spec.memory.scope == "shop/support")
        #expect(spec.memory.redis?.mode == .cluster && spec.memory.redis?.tls != nil)
        #expect(spec.memory.milvus?.collection == "support_memory")
        #expect(spec.autoscaling?.targetCPU?.text == "700m")
        #expect(spec.ingress?.affinity.maxAge.duration == .seconds(48 * 3600))
        #expect(spec.auth.mode == .apiKeys && spec.auth.trustedKeys == ["shop-backend"])
        #expect(spec.image == nil && spec.pod?.template == [:])
    }

    @Test("Every manifest of the valid corpus parses", arguments: try Golden.corpusFiles("valid"))
    func validCorpus(path: String) throws {
        _ = try ManifestFile.parse(yaml: Golden.text(path), file: path)
    }

    @Test("The parsed document keeps free-form parameters as they are written")
    func parameters() throws {
        let path = "\(Golden.corpus)/valid/every-field-with-ingress.yaml"
        let pool = try #require(try ManifestFile.parse(yaml: Golden.text(path)).pools.first)
        #expect(
            pool.spec.models[0].parameters == [
                "temperature": 0.2, "stop": ["END"], "seed": 7, "logit_bias": ["50256": -100], "extra": .null,
            ])
        #expect(pool.spec.ingress?.annotations == ["example.com/note": "yes"])
        #expect(pool.metadata.labels == ["team": "support"])
        #expect(pool.status?.conditions?.first?.status == "True")
    }

    @Test("Secrets are decoded, text wins over base64, and documents come in any order")
    func secrets() throws {
        let path = "\(Golden.corpus)/valid/pool-with-its-secrets.yaml"
        let manifest = try ManifestFile.parse(yaml: Golden.text(path))
        #expect(manifest.secrets == ["llm": ["api-key": "secret-one", "other": "plain"]])
        #expect(manifest.configMaps == ["refund-skill": ["SKILL.md": "# Refunds"]])
        let spec = try #require(manifest.pools.first).spec
        #expect(spec.agents[0].model == "chat" && spec.memory.embeddingModel == "embed")
        #expect(spec.models.map(\.baseURL) == ["http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"])
        #expect(spec.models[1].model == "embed")
    }

    @Test(
        "An agent without a model takes the first chat model, and the built-in one joins only where it is used"
    )
    func modelDefaults() throws {
        let spec = try AgentPoolSpec.parse(
            yaml: """
                models: [{name: embed, baseURL: "http://e/v1", dimensions: 8}, {name: chat, baseURL: "http://c/v1"}]
                agents: [{name: a, instructions: Help.}, {name: b, instructions: Help., model: builtin}]
                """)
        #expect(spec.agents.map(\.model) == ["chat", "builtin"])
        #expect(spec.memory.embeddingModel == "embed")
        #expect(spec.models.map(\.name) == ["embed", "chat", "builtin"])
    }

    @Test("The largest pool size follows the second tier where the manifest does not say")
    func maxReplicas() throws {
        func largest(_ memory: String, _ low: Int) throws -> Int? {
            try AgentPoolSpec.parse(
                yaml: """
                    agents: [{name: a, instructions: Help.}]
                    memory: {\(memory)}
                    autoscaling: {minReplicas: \(low)}
                    """
            ).autoscaling?.maxReplicas
        }
        #expect(try largest("", 1) == 1)
        #expect(try largest("redis: {addresses: ['r:6379']}", 1) == 10)
        #expect(try largest("redis: {addresses: ['r:6379']}", 20) == 20)
    }

    @Test("The drain's default is as long as a turn may take, and a collection is named after its pool")
    func derivedDefaults() throws {
        let spec = try AgentPoolSpec.parse(
            yaml: """
                agents: [{name: a, instructions: Help.}]
                concurrency: {turnTimeout: 20m}
                memory: {milvus: {address: "http://m:19530"}}
                """, for: PoolReference(namespace: "9-shops", name: "front-desk"))
        #expect(spec.drain.timeout.text == "20m")
        #expect(spec.memory.milvus?.collection == "_9_shops_front_desk")
        #expect(spec.memory.scope == "9-shops/front-desk")
    }
}

/// The defaults that one field takes from others, which a schema can't state.
enum SpecDefaults {
    private static let builtinChatModel = AgentPoolSpec.builtinChatModel
    private static let builtinEmbeddingModel = AgentPoolSpec.builtinEmbeddingModel

    /// Fills them into a specification that has the schema's form; what is given stays as it is.
    static func fill(_ spec: inout JSONValue, for pool: PoolReference) {
        var models = (spec["models"]?.elements ?? []).map(completedModel)
        let chatModel = models.first { $0["dimensions"] == nil }?["name"] ?? .string(builtinChatModel)
        let embeddingModel =
            models.first { $0["dimensions"] != nil }?["name"] ?? .string(builtinEmbeddingModel)

        let agents = (spec["agents"]?.elements ?? []).map { $0.filling("model", chatModel) }
        spec["agents"] = .array(agents)
        spec = spec.filling("entryAgent", agents.first?["name"] ?? "")
        spec["memory"] = filledMemory(spec["memory"] ?? [:], embeddingModel, pool)

        if agents.contains(where: { $0["model"] == .string(builtinChatModel) }) {
            include(builtinModel(builtinChatModel, dimensions: nil), in: &models)
        }
        if spec["memory"]?["embeddingModel"] == .string(builtinEmbeddingModel) {
            include(
                builtinModel(builtinEmbeddingModel, dimensions: AgentPoolSpec.builtinEmbeddingDimensions),
                in: &models)
        }
        spec["models"] = .array(models)
        if let workflow = spec["workflow"] {
            spec["workflow"] = workflow.filling("start", workflow["nodes"]?.elements?.first?["name"] ?? "")
        }

        let turnTimeout = spec["concurrency"]?["turnTimeout"] ?? "10m"
        spec["drain"] = spec["drain"]?.filling("timeout", turnTimeout)
        spec["auth"] = spec["auth"].map { $0.filling("mode", .string(authMode($0).rawValue)) }
        if let autoscaling = spec["autoscaling"] {
            let low = autoscaling["minReplicas"]?.int ?? 1
            let high = spec["memory"]?["redis"] == nil ? low : max(low, 10)
            spec["autoscaling"] = autoscaling.filling("maxReplicas", .integer(high))
        }
    }

    private static func completedModel(_ model: JSONValue) -> JSONValue {
        model.filling("model", model["name"] ?? "")
    }

    private static func filledMemory(
        _ memory: JSONValue, _ embeddingModel: JSONValue, _ pool: PoolReference
    ) -> JSONValue {
        var memory = memory.filling("scope", .string(pool.description)).filling(
            "embeddingModel", embeddingModel)
        if let milvus = memory["milvus"] {
            let name = "\(pool.namespace)_\(pool.name)".replacing("-", with: "_")
            // A namespace may start with a digit, a collection may not.
            let collection = name.first?.isNumber == true ? "_" + name : name
            memory["milvus"] = milvus.filling("collection", .string(collection))
        }
        return memory
    }

    private static func authMode(_ auth: JSONValue) -> AgentPoolSpec.Auth.Mode {
        if auth["apiKeysSecretRef"] != nil { return .apiKeys }
        return auth["jwt"] == nil ? .none : .jwt
    }

    private static func builtinModel(_ name: String, dimensions: Int?) -> JSONValue {
        var model: [String: JSONValue] = [
            "name": .string(name), "model": .string(name), "provider": "builtin", "parameters": [:],
            "httpVersion": "HTTP1",
        ]
        model["dimensions"] = dimensions.map(JSONValue.integer)
        return .object(model)
    }

    private static func include(_ model: JSONValue, in models: inout [JSONValue]) {
        if !models.contains(where: { $0["name"] == model["name"] }) { models.append(model) }
    }
}

extension AgentPoolSpec {
    /// The offline chat model of every worker, used where the manifest names no chat model.
    public static let builtinChatModel = "builtin"
    /// The offline embedding model of every worker, used where the manifest names no embedding model.
    public static let builtinEmbeddingModel = "builtin-embedding"
    /// The length of the built-in model's embeddings.
    public static let builtinEmbeddingDimensions = 512
}

extension JSONValue {
    fileprivate var elements: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    fileprivate var int: Int? {
        if case .integer(let value) = self { value } else { nil }
    }

    /// The object with the member added if it has none of that name.
    fileprivate func filling(_ name: String, _ value: JSONValue) -> JSONValue {
        guard case .object(var members) = self, members[name] == nil else { return self }
        members[name] = value
        return .object(members)
    }
}

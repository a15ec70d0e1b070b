import Memory
import PoolAPI
import Transport

/// The pool's agents with the models they talk to, built once from the manifest.
struct AgentRoster: Sendable {
    struct Member: Sendable {
        let name: String
        let description: String
        let instructions: String
        let model: any ChatModel
        let tools: [ToolSource]
        /// Agents to which it may hand over.
        let handoffs: [String]
        /// Agents that it may ask.
        let agentTools: [String]
        let skills: AgentSkills
    }

    let entryAgent: String
    private let members: [String: Member]

    init(
        _ spec: AgentPoolSpec, tools: [ToolSource], skills: SkillShelf, guards: Guards,
        secrets: @escaping @Sendable (SecretKeyRef) -> String?, http: HTTPClient
    ) throws(ModelError) {
        entryAgent = spec.entryAgent
        var models: [String: any ChatModel] = [AgentPoolSpec.builtinChatModel: BuiltinChatModel()]
        for (index, model) in spec.models.enumerated() where !model.isEmbeddingModel {
            switch model.provider {
            case .builtin: models[model.name] = BuiltinChatModel(parameters: model.parameters)
            case .openai:
                models[model.name] = OpenAIChatModel(
                    model, field: "spec.models[\(index)]", http: http, secrets: secrets)
            }
        }
        let redaction = guards.redaction
        if !redaction.isIdle {
            models = models.mapValues { RedactingModel(model: $0, redaction: redaction) }
        }
        var members: [String: Member] = [:]
        for (index, agent) in spec.agents.enumerated() {
            guard let model = models[agent.model] else {
                throw ModelError(
                    .configuration,
                    "spec.agents[\(index)].model: there is no chat model \(agent.model) in spec.models.")
            }
            let own = AgentSkills(names: agent.skills, shelf: skills)
            members[agent.name] = Member(
                name: agent.name, description: agent.description, instructions: agent.instructions,
                model: model,
                tools: (own.sources + agent.tools.compactMap { name in tools.first { $0.name == name } })
                    .map { $0.redacted(by: redaction) },
                handoffs: agent.handoffs, agentTools: agent.agentTools, skills: own)
        }
        guard members[entryAgent] != nil else {
            throw ModelError(
                .configuration, "spec.entryAgent: there is no agent \(entryAgent) in spec.agents.")
        }
        self.members = members
    }

    /// The agent of this name; nil where a session speaks of one that the manifest no longer has.
    func member(_ name: String) -> Member? { members[name] }

    func handoffs(of member: Member) -> [Handoff] {
        member.handoffs.compactMap { name in
            members[name].map { Handoff(agent: name, description: $0.description) }
        }
    }

    /// The agent that sums up what `name` heard: itself, or the entry agent where it is gone.
    func summarizing(_ name: String) -> Member? { members[name] ?? members[entryAgent] }
}

extension Embedder {
    /// The embedder that `spec.memory.embeddingModel` names.
    public init(
        _ spec: AgentPoolSpec, secrets: @escaping @Sendable (SecretKeyRef) -> String?, http: HTTPClient
    ) throws(ModelError) {
        self = try Embedder(
            spec, model: spec.memory.embeddingModel, field: "spec.memory.embeddingModel", secrets: secrets,
            http: http)
    }

    /// The embedder of a model.
    ///
    /// - Parameter field: where the manifest names it.
    public init(
        _ spec: AgentPoolSpec, model name: String, field: String,
        secrets: @escaping @Sendable (SecretKeyRef) -> String?, http: HTTPClient
    ) throws(ModelError) {
        guard let index = spec.models.firstIndex(where: { $0.name == name }) else {
            guard name == AgentPoolSpec.builtinEmbeddingModel else {
                throw ModelError(
                    .configuration, "\(field): there is no model \(name) in spec.models.")
            }
            self = NgramEmbedder().embedder
            return
        }
        let model = spec.models[index]
        switch model.provider {
        case .builtin:
            self = NgramEmbedder(dimension: model.dimensions ?? NgramEmbedder.defaultDimension).embedder
        case .openai:
            self = try OpenAIEmbeddings(model, field: "spec.models[\(index)]", http: http, secrets: secrets)
                .embedder
        }
    }
}

/// The rules of models, of the agents that talk to them, and of the choice among the agents.
extension SpecRules {
    mutating func checkModels() {
        for (index, model) in spec.models.enumerated() {
            let path = "models[\(index)]"
            switch model.provider {
            case .openai:
                if [AgentPoolSpec.builtinChatModel, AgentPoolSpec.builtinEmbeddingModel].contains(model.name)
                {
                    report(
                        "\(path).name", "\"\(model.name)\" is the name of a built-in model", "choose another")
                }
                if model.baseURL == nil {
                    report(
                        "\(path).baseURL", "is required for the provider openai",
                        "add it, such as http://vllm.models:8000/v1, or set provider: builtin")
                }
            case .builtin:
                if model.baseURL != nil {
                    report("\(path).baseURL", "has no meaning for the provider builtin", "remove it")
                }
                if model.apiKeySecretRef != nil {
                    report("\(path).apiKeySecretRef", "has no meaning for the provider builtin", "remove it")
                }
            }
        }
    }

    mutating func checkAgents() {
        let agents = spec.agents.map(\.name)
        let chatModels = spec.models.filter { !$0.isEmbeddingModel }.map(\.name)
        let servers = spec.mcpServers.map(\.name)
        let skills = spec.skills.map(\.name)
        // Without agents there is no entry either, and that is reported already.
        if !agents.isEmpty { requireName(spec.entryAgent, of: "agent", among: agents, at: "entryAgent") }
        for (index, agent) in spec.agents.enumerated() {
            let path = "agents[\(index)]"
            if spec.models.contains(where: { $0.name == agent.model && $0.isEmbeddingModel }) {
                report(
                    "\(path).model", "\"\(agent.model)\" makes embeddings, not replies",
                    "name a model without dimensions")
            } else {
                requireName(agent.model, of: "model", among: chatModels, at: "\(path).model")
            }
            for (place, name) in agent.tools.enumerated() {
                requireName(name, of: "MCP server", among: servers, at: "\(path).tools[\(place)]")
            }
            for (place, name) in agent.skills.enumerated() {
                requireName(name, of: "skill", among: skills, at: "\(path).skills[\(place)]")
            }
            requireOthers(agent.handoffs, than: agent.name, "hand off to itself", at: "\(path).handoffs")
            requireOthers(agent.agentTools, than: agent.name, "ask itself", at: "\(path).agentTools")
        }
    }

    /// Names of other agents.
    private mutating func requireOthers(
        _ names: [String], than agent: String, _ whatItCannot: String, at path: String
    ) {
        for (place, name) in names.enumerated() {
            if name == agent {
                report("\(path)[\(place)]", "an agent can't \(whatItCannot)", "remove it")
            } else {
                requireName(name, of: "agent", among: spec.agents.map(\.name), at: "\(path)[\(place)]")
            }
        }
    }

    mutating func checkRouting() {
        for (index, rule) in spec.routing.rules.enumerated() {
            let path = "routing.rules[\(index)]"
            requireName(rule.agent, of: "agent", among: spec.agents.map(\.name), at: "\(path).agent")
            requirePattern(rule.pattern, at: "\(path).pattern")
        }
        let isSilent = spec.agents.allSatisfy { $0.description.isEmpty && $0.examples.isEmpty }
        if spec.routing.by == .description, isSilent {
            report(
                "routing.by", "no agent has a description", "describe the agents, or set it to Entry")
        }
    }
}

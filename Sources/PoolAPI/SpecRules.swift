/// Where a specification is to be served.
public enum ServingPlace: Sendable {
    /// By pods, which start no processes.
    case cluster
    /// By `agentpool run`.
    case machine
}

/// The rules between fields of a specification: names that must exist, and values that exclude each other.
struct SpecRules {
    struct Violation: Equatable {
        /// Below `spec`.
        let path: String
        let message: String
        let mend: String
    }

    let spec: AgentPoolSpec
    /// Whether the manifest writes `auth.mode` itself; without it, no authentication is only a laptop's default.
    private let authModeIsGiven: Bool
    private let place: ServingPlace
    private(set) var violations: [Violation] = []

    /// The violations of a specification whose defaults are filled in.
    static func violations(
        of spec: AgentPoolSpec, authModeIsGiven: Bool, in place: ServingPlace
    ) -> [Violation] {
        var rules = SpecRules(spec: spec, authModeIsGiven: authModeIsGiven, place: place)
        rules.checkModels()
        rules.checkAgents()
        rules.checkRouting()
        rules.checkTools()
        rules.checkSkills()
        rules.checkWorkflow()
        rules.checkGuard()
        rules.checkMemory()
        rules.checkReplicas()
        rules.checkDrain()
        rules.checkRoutes()
        rules.checkAuth()
        return rules.violations
    }

    private init(spec: AgentPoolSpec, authModeIsGiven: Bool, place: ServingPlace) {
        self.spec = spec
        self.authModeIsGiven = authModeIsGiven
        self.place = place
    }

    mutating func report(_ path: String, _ message: String, _ mend: String) {
        violations.append(Violation(path: path, message: message, mend: mend))
    }

    /// Reports a reference to a name that does not exist.
    mutating func requireName(_ name: String, of kind: String, among names: [String], at path: String) {
        guard !names.contains(name) else { return }
        let mend =
            if let nearest = NearestName.of(name, among: names) {
                "did you mean \(nearest)?"
            } else if names.isEmpty {
                "add it, or remove the name here"
            } else {
                "use one of \(names.joined(separator: ", "))"
            }
        report(path, "no \(kind) is called \"\(name)\"", mend)
    }

    private mutating func checkModels() {
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

    private mutating func checkAgents() {
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

    private mutating func checkRouting() {
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

    mutating func requirePattern(_ pattern: String, at path: String) {
        do {
            _ = try Regex(pattern)
        } catch {
            report(
                path, "is not a regular expression",
                "mend the pattern; a literal character such as ( is written \\(")
        }
    }

    private mutating func checkTools() {
        for (index, server) in spec.mcpServers.enumerated() {
            checkWay(to: server, at: "mcpServers[\(index)]")
            guard let allowed = server.allow else { continue }
            for (place, tool) in server.requireApproval.enumerated() where !allowed.contains(tool) {
                report(
                    "mcpServers[\(index)].requireApproval[\(place)]", "\"\(tool)\" is not in allow",
                    "add it to allow, or remove it here")
            }
        }
    }

    /// A server is reached at an address or started as a process.
    private mutating func checkWay(to server: AgentPoolSpec.MCPServer, at path: String) {
        guard let command = server.command else {
            if server.url == nil {
                report(
                    "\(path).url", "is required\(place == .machine ? " where there is no command" : "")",
                    place == .machine ? "add it, or command" : "add it")
            }
            if server.env != nil {
                report("\(path).env", "has no meaning without command", "remove it")
            }
            return
        }
        guard place == .machine else {
            return report(
                "\(path).command", "only agentpool run starts a process",
                "serve the tools over HTTP, and give their url")
        }
        if server.url != nil {
            report("\(path).url", "a server has url or command, not both", "remove one of them")
        }
        if server.headersSecretRef != nil {
            report(
                "\(path).headersSecretRef", "has no meaning for a process, which is sent no headers",
                "remove it; what the process needs goes into env")
        }
        if command.contains(where: { $0.contains("\0") }) {
            report("\(path).command", "holds a character that no argument may have", "remove the NUL")
        }
        for (name, value) in (server.env ?? [:]).sorted(by: { $0.key < $1.key }) {
            if name.isEmpty || name.contains("=") || (name + value).contains("\0") {
                report(
                    SchemaCheck.path("\(path).env", name), "is no variable of an environment",
                    "name it without '=', and remove any NUL")
            }
        }
    }

    private mutating func checkSkills() {
        for (index, skill) in spec.skills.enumerated() {
            switch (skill.configMapRef, skill.volume) {
            case (nil, nil):
                report(
                    "skills[\(index)].configMapRef", "is required where there is no volume",
                    "add it, or volume")
            case (_?, _?):
                report(
                    "skills[\(index)].configMapRef", "a skill has configMapRef or volume, not both",
                    "remove one of them")
            default: break
            }
        }
    }

    private mutating func checkGuard() {
        for (index, pattern) in spec.guard.forbiddenPatterns.enumerated() {
            requirePattern(pattern, at: "guard.forbiddenPatterns[\(index)]")
        }
        let rules = spec.guard.redact
        for (index, rule) in rules.enumerated() {
            requirePattern(rule.pattern, at: "guard.redact[\(index)].pattern")
        }
        for (index, rule) in rules.enumerated() {
            checkRedaction(rule, of: rules, at: "guard.redact[\(index)]")
        }
    }

    /// What was redacted once is redacted again wherever it comes by: it must stay as it is then.
    private mutating func checkRedaction(
        _ rule: AgentPoolSpec.Guard.Redaction, of rules: [AgentPoolSpec.Guard.Redaction], at path: String
    ) {
        // A pattern that is none is reported already.
        if let pattern = try? Regex(rule.pattern), "".contains(pattern) {
            report(
                "\(path).pattern", "matches the empty text, which is everywhere",
                "have it ask for one character at least")
        }
        let matching = rules.first { other in
            guard let pattern = try? Regex(other.pattern), !"".contains(pattern) else { return false }
            return rule.replacement.contains(pattern)
        }
        if let matching {
            report(
                "\(path).replacement", "is matched by the pattern of \"\(matching.name)\" itself",
                "choose a text that no pattern matches")
        }
    }

    private mutating func checkMemory() {
        requireEmbeddingModel(spec.memory.embeddingModel, at: "memory.embeddingModel")
        if let name = spec.routing.embeddingModel {
            requireEmbeddingModel(name, at: "routing.embeddingModel")
        }
    }

    private mutating func requireEmbeddingModel(_ name: String, at path: String) {
        if spec.models.contains(where: { $0.name == name && !$0.isEmbeddingModel }) {
            report(
                path, "the model \"\(name)\" has no dimensions",
                "add dimensions to it, or name an embedding model")
        } else {
            let models = spec.models.filter(\.isEmbeddingModel).map(\.name)
            requireName(name, of: "model", among: models, at: path)
        }
    }

    private mutating func checkReplicas() {
        if let scaling = spec.autoscaling, scaling.minReplicas > scaling.maxReplicas {
            report(
                "autoscaling.minReplicas",
                "\(scaling.minReplicas) is more than maxReplicas, \(scaling.maxReplicas)",
                "lower it, or raise maxReplicas")
        }
        let pods = spec.autoscaling?.maxReplicas ?? spec.replicas
        if spec.memory.embedded.storage != nil, spec.memory.redis != nil, spec.memory.milvus == nil, pods > 1
        {
            report(
                "memory.embedded.storage", "a volume belongs to one pod, and this pool may have \(pods)",
                "add memory.milvus, or remove it")
        }
        guard spec.memory.redis == nil else { return }
        let mend = "add memory.redis, or set it to 1"
        if let scaling = spec.autoscaling, scaling.maxReplicas > 1 {
            report("autoscaling.maxReplicas", "more than one replica needs Redis", mend)
        }
        if spec.replicas > 1 { report("replicas", "more than one replica needs Redis", mend) }
    }

    private mutating func checkDrain() {
        let turn = spec.concurrency.turnTimeout
        if spec.drain.timeout.duration < turn.duration {
            report(
                "drain.timeout", "\(spec.drain.timeout.text) is shorter than a turn may take, \(turn.text)",
                "raise it to concurrency.turnTimeout at least")
        }
    }

    private mutating func checkRoutes() {
        if spec.ingress != nil, spec.gateway != nil {
            report("gateway", "a pool has an ingress or a gateway, not both", "remove one of them")
        }
        if let affinity = spec.ingress?.affinity, affinity.provider == .traefik, affinity.by == .header {
            report(
                "ingress.affinity.by", "Traefik can't tell sessions apart by a header",
                "set it to Cookie, or use another provider")
        }
        if spec.auth.mode == AgentPoolSpec.Auth.Mode.none, !authModeIsGiven {
            for route in [spec.ingress.map { _ in "ingress" }, spec.gateway.map { _ in "gateway" }] {
                guard let route else { continue }
                report(
                    route, "publishes the pool without authentication",
                    "add auth.apiKeysSecretRef, or set auth.mode: None to allow it")
            }
        }
    }

    private mutating func checkAuth() {
        let auth = spec.auth
        if auth.apiKeysSecretRef != nil, auth.jwt != nil {
            report("auth.jwt", "a pool takes API keys or tokens, not both", "remove one of them")
            return
        }
        switch auth.mode {
        case .apiKeys:
            if auth.apiKeysSecretRef == nil {
                report("auth.apiKeysSecretRef", "is required for the mode APIKeys", "add it")
            }
            if auth.jwt != nil { report("auth.jwt", "has no meaning in the mode APIKeys", "remove it") }
        case .jwt:
            if auth.jwt == nil { report("auth.jwt", "is required for the mode JWT", "add it") }
            if auth.apiKeysSecretRef != nil {
                report("auth.apiKeysSecretRef", "has no meaning in the mode JWT", "remove it")
            }
        case .none:
            let unused = [
                ("apiKeysSecretRef", auth.apiKeysSecretRef != nil), ("jwt", auth.jwt != nil),
                ("trustedKeys", !auth.trustedKeys.isEmpty),
            ]
            for (field, isGiven) in unused where isGiven {
                report("auth.\(field)", "has no meaning in the mode None", "remove it, or change the mode")
            }
        }
    }
}

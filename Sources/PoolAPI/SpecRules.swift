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
    let place: ServingPlace
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

    mutating func requirePattern(_ pattern: String, at path: String) {
        do throws(PatternError) {
            _ = try LinearPattern(pattern)
        } catch {
            report(
                path, "is no pattern: \(error.message)",
                "mend it; a literal character such as ( is written \\(")
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
        if let pattern = try? LinearPattern(rule.pattern), pattern.isFound(in: "") {
            report(
                "\(path).pattern", "matches the empty text, which is everywhere",
                "have it ask for one character at least")
        }
        let matching = rules.first { other in
            guard let pattern = try? LinearPattern(other.pattern), !pattern.isFound(in: "") else {
                return false
            }
            return pattern.isFound(in: rule.replacement)
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

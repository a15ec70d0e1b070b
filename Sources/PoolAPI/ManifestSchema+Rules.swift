/// The rules between fields as API servers check them, for what `SpecRules` would refuse later; and those on what may change.
///
/// An API server bounds what a rule may cost by the bounds of the lists and texts that it reads: a rule stands as far in as it can.
/// It also checks each default by the rules of its own value, without the defaults inside it: where an object has a default, its
/// rules ask whether a field is there before they read it, also where the field has a default.
extension ManifestSchema {
    typealias Rule = Schema.Rule

    static let specRules =
        nameRules + replicaRules + routeRules + [
            Rule(
                "!has(self.drain.timeout) || duration(self.drain.timeout) >= duration(self.concurrency.turnTimeout)",
                "raise drain.timeout to concurrency.turnTimeout at least: a turn may take that long",
                at: "drain.timeout"),
            Rule(
                """
                !has(self.memory.milvus) || !has(oldSelf.memory.milvus) || \
                (has(self.memory.milvus.collection) ? self.memory.milvus.collection : '') != \
                (has(oldSelf.memory.milvus.collection) ? oldSelf.memory.milvus.collection : '') || \
                self.models.exists(m, \(embeds("m", "self")) && oldSelf.models.exists(o, \(embeds("o", "oldSelf")) && \
                (has(m.model) ? m.model : m.name) == (has(o.model) ? o.model : o.name) && \
                has(m.dimensions) == has(o.dimensions) && (!has(m.dimensions) || m.dimensions == o.dimensions))) || \
                !self.models.exists(m, \(embeds("m", "self"))) && !oldSelf.models.exists(o, \(embeds("o", "oldSelf")))
                """,
                "the collection holds vectors of another embedding model: name another collection and run agentpool reindex",
                at: "memory.embeddingModel"),
        ]

    /// Whether a model makes the pool's embeddings. Without a name any model with dimensions counts: which of them comes first would cost
    /// more to say than a server allows, and a worker looks at the collection in any case.
    private static func embeds(_ model: String, _ spec: String) -> String {
        """
        (has(\(spec).memory.embeddingModel) ? \(model).name == \(spec).memory.embeddingModel : has(\(model).dimensions))
        """
    }

    private static let nameRules = [
        Rule(
            "!has(self.entryAgent) || self.agents.exists(a, a.name == self.entryAgent)",
            "entryAgent must be the name of an agent", at: "entryAgent"),
        Rule(
            """
            self.agents.all(a, !has(a.model) || a.model == '\(AgentPoolSpec.builtinChatModel)' || \
            self.models.exists(m, m.name == a.model))
            """,
            "each agent's model must be the name of a model", at: "agents"),
        Rule(
            "self.agents.all(a, !has(a.model) || !self.models.exists(m, m.name == a.model && has(m.dimensions)))",
            "an agent's model must not have dimensions: such a model makes embeddings, not replies",
            at: "agents"
        ),
        Rule(
            "self.agents.all(a, a.tools.all(t, self.mcpServers.exists(s, s.name == t)))",
            "each agent's tools must be names of mcpServers", at: "agents"),
        Rule(
            "self.agents.all(a, a.skills.all(n, self.skills.exists(s, s.name == n)))",
            "each agent's skills must be names of skills", at: "agents"),
        Rule(
            "self.agents.all(a, a.handoffs.all(h, self.agents.exists(b, b.name == h)))",
            "each agent's handoffs must be names of agents", at: "agents"),
        Rule(
            "self.agents.all(a, !(a.name in a.handoffs))", "an agent can't hand off to itself", at: "agents"),
        Rule(
            "self.agents.all(a, a.agentTools.all(t, self.agents.exists(b, b.name == t)))",
            "each agent's agentTools must be names of agents", at: "agents"),
        Rule("self.agents.all(a, !(a.name in a.agentTools))", "an agent can't ask itself", at: "agents"),
        Rule(
            """
            !has(self.routing.embeddingModel) || \
            self.models.exists(m, m.name == self.routing.embeddingModel && has(m.dimensions))
            """,
            "routing.embeddingModel must be the name of a model with dimensions", at: "routing"),
        Rule(
            "!has(self.routing.rules) || self.routing.rules.all(r, self.agents.exists(a, a.name == r.agent))",
            "each rule's agent must be the name of an agent", at: "routing"),
        Rule(
            """
            !has(self.memory.embeddingModel) || \
            self.memory.embeddingModel == '\(AgentPoolSpec.builtinEmbeddingModel)' || \
            self.models.exists(m, m.name == self.memory.embeddingModel && has(m.dimensions))
            """,
            "memory.embeddingModel must be the name of a model with dimensions", at: "memory.embeddingModel"),
    ]

    private static let replicaRules = [
        Rule(
            "has(self.memory.redis) || self.replicas <= 1",
            "more than one replica needs Redis: add memory.redis, or set replicas to 1", at: "replicas"),
        Rule(
            """
            has(self.memory.redis) || !has(self.autoscaling) || \
            (has(self.autoscaling.maxReplicas) ? self.autoscaling.maxReplicas : self.autoscaling.minReplicas) <= 1
            """,
            "more than one replica needs Redis: add memory.redis, or set maxReplicas to 1",
            at: "autoscaling.maxReplicas"),
        Rule(
            """
            !has(self.memory.embedded.storage) || !has(self.memory.redis) || has(self.memory.milvus) || \
            (has(self.autoscaling) ? \
            (has(self.autoscaling.maxReplicas) ? self.autoscaling.maxReplicas : 10) : self.replicas) <= 1
            """,
            "a volume belongs to one pod: add memory.milvus, or remove memory.embedded.storage",
            at: "memory.embedded.storage"),
    ]

    private static let routeRules = [
        Rule(
            "!has(self.ingress) || !has(self.gateway)",
            "a pool has an ingress or a gateway, not both: remove one of them", at: "gateway"),
        Rule(
            "!has(self.ingress) || has(self.auth.mode) || has(self.auth.apiKeysSecretRef) || has(self.auth.jwt)",
            "an ingress publishes the pool: add auth.apiKeysSecretRef, or set auth.mode to None to allow anybody",
            at: "ingress"),
        Rule(
            "!has(self.gateway) || has(self.auth.mode) || has(self.auth.apiKeysSecretRef) || has(self.auth.jwt)",
            "a gateway publishes the pool: add auth.apiKeysSecretRef, or set auth.mode to None to allow anybody",
            at: "gateway"),
    ]

    static let modelRules = [
        Rule(
            "self.provider != 'openai' || has(self.baseURL)",
            "baseURL is required for the provider openai", at: "baseURL"),
        Rule(
            "self.provider != 'builtin' || !has(self.baseURL)",
            "baseURL has no meaning for the provider builtin: remove it", at: "baseURL"),
        Rule(
            "self.provider != 'builtin' || !has(self.apiKeySecretRef)",
            "apiKeySecretRef has no meaning for the provider builtin: remove it", at: "apiKeySecretRef"),
        Rule(
            """
            self.provider == 'builtin' || !(self.name in ['\(AgentPoolSpec.builtinChatModel)', \
            '\(AgentPoolSpec.builtinEmbeddingModel)'])
            """,
            "the name is that of a built-in model: choose another", at: "name"),
    ]

    static let mcpServerRules = [
        Rule(
            "!has(self.allow) || self.requireApproval.all(t, t in self.allow)",
            "requireApproval must name tools of allow", at: "requireApproval"),
        Rule(
            "!has(self.command)",
            "only agentpool run starts a process: serve the tools over HTTP and give their url", at: "command"
        ),
        Rule("has(self.url) || has(self.command)", "url is required: add it", at: "url"),
        Rule(
            "!has(self.env)", "env is for the process of command, which only agentpool run starts: remove it",
            at: "env"),
    ]

    static let skillRules = [
        Rule(
            "has(self.configMapRef) != has(self.volume)",
            "a skill's files come from configMapRef or from volume: give exactly one of the two",
            at: "configMapRef")
    ]

    static let workflowRules = [
        Rule(
            """
            self.edges.all(e, self.nodes.exists(n, n.name == e.from) && \
            (e.to == 'end' || self.nodes.exists(n, n.name == e.to)))
            """,
            "edges must lead from a node's name to a node's name, or to end", at: "edges"),
        Rule(
            "!has(self.start) || self.nodes.exists(n, n.name == self.start)",
            "start must be the name of a node", at: "start"),
        Rule(
            "self.nodes.exists_one(n, n.kind == 'commit')", "exactly one node must be of the kind commit",
            at: "nodes"),
    ]

    static let workflowNodeRules =
        ["callTool", "httpCall", "condition", "parallel"].map { (kind: String) in
            Rule(
                "has(self.\(kind)) == (self.kind == '\(kind)')",
                "\(kind) belongs to nodes of the kind \(kind), and they need it", at: kind)
        } + [
            Rule(
                "!has(self.converse) || self.kind == 'converse'",
                "converse belongs to nodes of the kind converse: remove it, or change the kind",
                at: "converse"),
            Rule("self.name != 'end'", "end is where edges end a turn: choose another name", at: "name"),
        ]

    static let memoryRules = [
        Rule(
            """
            has(self.scope) ? has(oldSelf.scope) && self.scope == oldSelf.scope : !has(oldSelf.scope)
            """,
            "scope can't change: the memory is stored under it", at: "scope")
    ]

    static let autoscalingRules = [
        Rule(
            "!has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            "minReplicas must not be above maxReplicas", at: "minReplicas")
    ]

    static let affinityRules = [
        Rule(
            "!has(self.provider) || self.provider != 'Traefik' || !has(self.by) || self.by != 'Header'",
            "Traefik can't tell sessions apart by a header: set by to Cookie, or use another provider",
            at: "by"
        )
    ]

    static let authRules = [
        Rule(
            "!has(self.apiKeysSecretRef) || !has(self.jwt)",
            "a pool takes API keys or tokens, not both: remove one of them", at: "jwt"),
        Rule(
            "!has(self.mode) || self.mode != 'APIKeys' || has(self.apiKeysSecretRef)",
            "apiKeysSecretRef is required for the mode APIKeys", at: "apiKeysSecretRef"),
        Rule(
            "!has(self.mode) || self.mode != 'JWT' || has(self.jwt)", "jwt is required for the mode JWT",
            at: "jwt"),
        Rule(
            "!has(self.mode) || self.mode != 'None' || !has(self.apiKeysSecretRef) && !has(self.jwt)",
            "the mode None takes neither keys nor tokens: remove them, or change the mode", at: "mode"),
        Rule(
            "!has(self.trustedKeys) || size(self.trustedKeys) == 0 || has(self.apiKeysSecretRef) || has(self.jwt)",
            "trustedKeys need apiKeysSecretRef or jwt", at: "trustedKeys"),
    ]
}

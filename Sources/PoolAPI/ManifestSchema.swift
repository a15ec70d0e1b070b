/// The one description of the manifest: the reader checks by it, and the CRD and the reference of fields are made from it.
///
/// The types of `AgentPoolSpec` mirror it field by field.
enum ManifestSchema {
    typealias Field = Schema.Field

    /// `spec`.
    static let spec = Schema.object([
        Field(
            "models", "The models that agents talk to and that make embeddings.",
            .list(model, 0...32, .field("name")), .defaults([])),
        Field(
            "entryAgent", "The agent that takes a session's first turn.", .name, .derived("the first agent")),
        Field("agents", "The agents.", .list(agent, 1...32, .field("name")), .required),
        Field("routing", "Which agent takes a turn that names none.", routing, .defaults([:])),
        Field(
            "mcpServers", "Servers of tools over the Model Context Protocol.",
            .list(mcpServer, 0...32, .field("name")), .defaults([])),
        Field(
            "skills", "Folders of instructions and files that agents read when they need them.",
            .list(skill, 0...64, .field("name")), .defaults([])),
        Field("workflow", "The graph of a turn, in place of the default one.", workflow),
        Field(
            "guard", "What a message must keep to, and what becomes of texts that others wrote.", inputGuard,
            .defaults([:])),
        Field("memory", "The three tiers of memory.", memory, .defaults([:])),
        Field("concurrency", "Limits of one pod.", concurrency, .defaults([:])),
        Field("replicas", "Pods of the pool where autoscaling is absent.", .integer(1...1000), .defaults(1))
            .clusterOnly(),
        Field("autoscaling", "Scales the pool by its load.", autoscaling).clusterOnly(),
        Field("ingress", "Publishes the pool on an Ingress.", ingress).clusterOnly(),
        Field("gateway", "Publishes the pool on a Gateway, in place of an Ingress.", gateway).clusterOnly(),
        Field("drain", "How a pod ends.", drain, .defaults([:])),
        Field("auth", "Who may call the pool.", auth, .defaults([:])),
        Field(
            "image", "The worker's container image; absent, the controller's own.", .text(1...512)
        ).clusterOnly(),
        Field("pod", "Changes to the pods.", pod).clusterOnly(),
    ]).checking(specRules)

    private static let model = Schema.object([
        Field("name", "How agents name it.", .name, .required),
        Field(
            "provider", "openai: any endpoint with OpenAI's API. builtin: the worker's own offline model.",
            .choice(AgentPoolSpec.ModelProvider.self), .defaults("openai")),
        Field("baseURL", "The root of the API, which as a rule ends in /v1. Required for openai.", .url),
        Field("model", "How the endpoint names it.", .text(1...256), .derived("the name")),
        Field("apiKeySecretRef", "The API key.", .secretKeyRef),
        Field("parameters", "Sent with each request, such as temperature.", .anyObject, .defaults([:])),
        Field(
            "dimensions", "The length of an embedding; present only on embedding models.", .integer(1...32768)
        ),
        Field(
            "httpVersion", "The HTTP version asked of the endpoint.",
            .choice(AgentPoolSpec.HTTPVersionPreference.self), .defaults("HTTP1")),
    ]).checking(modelRules)

    private static let agent = Schema.object([
        Field("name", "Its name; clients may address it as a model.", .name, .required),
        Field(
            "description", "What it is for; routing between agents reads it.", .text(0...1024), .defaults("")),
        Field("instructions", "The system prompt.", .text(1...32768), .required),
        Field(
            "model", "The name of a chat model in models.", .name,
            .derived("the first chat model, or the built-in one (builtin)")),
        Field("tools", "Names of mcpServers.", .list(.name, 0...32, .value), .defaults([])),
        Field("skills", "Names of skills.", .list(.name, 0...64, .value), .defaults([])),
        Field(
            "handoffs", "Names of the agents that it may hand a conversation to.",
            .list(.name, 0...32, .value), .defaults([])),
        Field(
            "agentTools", "Names of the agents that it may ask questions, as tools.",
            .list(.name, 0...32, .value), .defaults([])),
        Field(
            "examples", "Utterances that it should get; routing between agents reads them.",
            .list(.text(1...512), 0...64, .value), .defaults([])),
    ])

    private static let routing = Schema.object([
        Field(
            "by", "Entry: the entry agent. Description: the agent whose description or examples are nearest.",
            .choice(AgentPoolSpec.Routing.Choice.self), .defaults("Entry")),
        Field(
            "when", "FirstTurn: of a session. EveryTurn: also where the session has an agent.",
            .choice(AgentPoolSpec.Routing.Occasion.self), .defaults("FirstTurn")),
        Field(
            "embeddingModel",
            "An embedding model of models that tells how near a description is; absent, the words that are shared do.",
            .name),
        Field(
            "minScore", "How well an agent must fit to be chosen by its description; else entryAgent is.",
            Schema(.number(0...1)), .defaults(0.05)),
        Field(
            "rules", "Patterns in what the user says, tried in order before anything else.",
            .list(
                .object([
                    Field("pattern", "A regular expression.", .text(1...256), .required),
                    Field("agent", "The agent to choose.", .name, .required),
                ]), 0...64), .defaults([])),
    ])

    private static let mcpServer = Schema.object([
        Field("name", "How agents name it.", .name, .required),
        Field("url", "Its endpoint (streamable HTTP).", .url),
        Field(
            "command",
            "In place of url, a process to start: a program and its arguments. For agentpool run alone.",
            .list(.text(1...4096), 1...64)),
        Field(
            "env", "Variables of the process's environment, beside PATH, HOME and the like.", .texts),
        Field("headersSecretRef", "A Secret whose keys are the names of request headers.", .objectRef),
        Field("allow", "The tools that agents see; absent, all of them.", .list(toolName, 0...256, .value)),
        Field(
            "requireApproval", "Tools that run only after a person agreed.", .list(toolName, 0...256, .value),
            .defaults([])),
        Field(
            "timeout", "How long a call of one of its tools may take, within the turn's own time.",
            .duration(.seconds(1)...(.seconds(3600))), .defaults("60s")),
    ]).checking(mcpServerRules)
    private static let toolName = Schema.text(1...128, .toolName)

    private static let skill = Schema.object([
        Field("name", "How agents name it; also its folder's name.", .name, .required),
        Field("configMapRef", "The ConfigMap that holds its files, SKILL.md among them.", configMapFiles),
        Field(
            "volume", "The volume that holds its folder, in place of a ConfigMap; mounted read-only.", volume),
    ]).checking(skillRules)

    private static let configMapFiles = Schema.object([
        Field("name", "Its name, in the pool's namespace.", .objectName, .required),
        Field(
            "items", "The keys to take and where they go; absent, every key is a file of its name.",
            .list(
                .object([
                    Field("key", "A key of the ConfigMap.", .text(1...253, .secretKey), .required),
                    Field(
                        "path", "The file below the skill's folder.", .text(1...253, .innerPath), .required),
                ]), 1...64, .field("path"))),
    ])

    private static let volume = Schema.object([
        Field("claimName", "A PersistentVolumeClaim in the pool's namespace.", .objectName, .required),
        Field("subPath", "The skill's folder in the volume; absent, its root.", .text(1...253, .innerPath)),
    ])

}

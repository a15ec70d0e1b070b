/// The fields of a workflow.
extension ManifestSchema {
    static let workflow = Schema.object([
        Field("start", "The node where a turn begins.", .name, .derived("the first node")),
        Field("nodes", "The steps of a turn.", .list(node, 1...32, .field("name")), .required),
        Field(
            "edges", "What follows what: of a node's edges the first is taken whose condition holds.",
            .list(
                .object([
                    Field("from", "The name of a node.", .name, .required),
                    Field("to", "The name of a node, or end.", .name, .required),
                    Field(
                        "when", "The condition to take it; absent, always.",
                        .choice(AgentPoolSpec.Workflow.When.self)),
                ]), 0...128), .defaults([])),
    ]).checking(workflowRules)

    private static let node = Schema.object([
        Field("name", "How edges and templates name it.", .name, .required),
        Field("kind", "What it does.", .choice(AgentPoolSpec.Workflow.NodeKind.self), .required),
        Field(
            "converse", "Of a node of this kind.",
            .object([
                Field(
                    "agent", "Who answers, and has the session from there on; absent, whoever has it.", .name)
            ])),
        Field(
            "callTool", "Of a node of this kind.",
            .object([
                Field("server", "The name of one of mcpServers.", .name, .required),
                Field("tool", "The tool, as its server calls it.", .text(1...128, .toolName), .required),
                Field("arguments", "Its arguments; their texts are templates.", .anyObject, .defaults([:])),
            ])),
        Field("httpCall", "Of a node of this kind.", httpCall),
        Field(
            "condition", "Of a node of this kind.",
            .object([
                Field("text", "The text to look at, a template.", .text(1...1024), .required),
                Field(
                    "matches",
                    "A regular expression; the edge with when: matched is taken where it is found.",
                    .text(1...256), .required),
            ])),
        Field(
            "parallel", "Of a node of this kind.",
            .object([
                Field(
                    "nodes",
                    "Nodes of the kinds recall, callTool and httpCall without edges, carried out side by side.",
                    .list(.name, 1...8, .value), .required)
            ])),
    ]).checking(workflowNodeRules)

    private static let httpCall = Schema.object([
        Field("url", "Where the request goes.", .url, .required),
        Field(
            "method", "GET, PUT and DELETE may be sent again after a crash.",
            .choice(AgentPoolSpec.Workflow.HTTPCall.Method.self), .defaults("POST")),
        Field("query", "Parameters of the URL, templates.", .texts, .defaults([:])),
        Field("body", "Sent as JSON; its texts are templates.", .anyObject),
        Field("headersSecretRef", "A Secret whose keys are the names of request headers.", .objectRef),
        Field(
            "timeout", "How long it may take, within the turn's own time.",
            .duration(.seconds(1)...(.seconds(600))), .defaults("10s")),
    ])
}

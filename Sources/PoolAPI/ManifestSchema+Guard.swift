/// The description of `spec.guard`.

extension ManifestSchema {
    static let inputGuard = Schema.object([
        Field(
            "maxInputCharacters", "Unicode scalars of a turn's new messages, together.",
            .integer(1...1_000_000), .defaults(.integer(AgentPoolSpec.Guard.defaultLength))),
        Field(
            "forbiddenPatterns", "Regular expressions; a message that contains a match is refused.",
            .list(.text(1...256), 0...64, .value), .defaults([])),
        Field(
            "injection",
            "What becomes of memories, summaries and tool results that bear marks of a prompt injection.",
            injection, .defaults([:])),
        Field(
            "redact", "What is cut out of every text before it is sent on, stored or logged.",
            .list(redaction, 0...32, .field("name")), .defaults([])),
        Field(
            "redactHoldBack",
            "Characters of a reply that wait until more has come, so that a match is found across the pieces of a stream.",
            .integer(8...4096), .defaults(64)),
        Field(
            "moderation", "An endpoint of OpenAI's moderations API that is asked about new messages first.",
            moderation),
    ])

    private static let injection = Schema.object([
        Field(
            "onMatch", "Mark: shown to the model with a warning. Drop: left out, which the model is told.",
            .choice(AgentPoolSpec.Guard.Injection.Match.self), .defaults("Mark"))
    ])

    private static let redaction = Schema.object([
        Field("name", "How metrics name it.", .name, .required),
        Field("pattern", "A regular expression.", .text(1...256), .required),
        Field(
            "replacement", "Stands in the place of a match.", .text(0...128), .defaults("[redacted]")),
    ])

    private static let moderation = Schema.object([
        Field("baseURL", "The root of the API, which as a rule ends in /v1.", .url, .required),
        Field(
            "model", "How the endpoint names it.", .text(1...256), .defaults("omni-moderation-latest")),
        Field("apiKeySecretRef", "The API key.", .secretKeyRef),
        Field(
            "deadline", "How long a turn waits for the verdict.",
            .duration(.milliseconds(10)...(.seconds(30))), .defaults("500ms")),
        Field(
            "onFailure", "Without a verdict. Refuse: the turn is refused. Allow: it goes on.",
            .choice(AgentPoolSpec.Guard.Moderation.Failure.self), .defaults("Refuse")),
        Field(
            "categories", "The categories that count; absent, all of them.",
            .list(.text(1...64), 1...64, .value)),
        Field(
            "threshold",
            "The score from which on a category counts; absent, the endpoint's own verdict does.",
            Schema(.number(0...1))),
    ])
}

/// The manifest's `spec.memory`.

extension ManifestSchema {
    static let memory = Schema.object([
        Field(
            "scope", "Whose memory this is; pools of one scope share it. Immutable.",
            .text(1...128, .scope), .derived("namespace/name of the pool")),
        Field("session", "The first tier: sessions in a worker's own memory.", session, .defaults([:])),
        Field("redis", "The second tier; absent, the embedded store.", redis),
        Field("milvus", "The third tier; absent, the embedded store.", milvus),
        Field(
            "embedded", "The second and third tier in one file beside the worker.", embedded, .defaults([:])),
        Field(
            "buffer", "When turns are archived.",
            .object([
                Field(
                    "rounds", "Turns that are archived together as one memory.", .integer(1...1000),
                    .defaults(10))
            ]), .defaults([:])),
        Field("recall", "What a turn is told of earlier ones.", recall, .defaults([:])),
        Field(
            "embeddingModel", "The name of a model with dimensions.", .name,
            .derived("the first model with dimensions, or the built-in one (builtin-embedding)")),
        Field(
            "reclaimPolicy", "What becomes of the memory when the pool is deleted.",
            .choice(AgentPoolSpec.ReclaimPolicy.self), .defaults("Retain")
        ).clusterOnly(),
    ]).checking(memoryRules)

    private static let session = Schema.object([
        Field(
            "maxBytes", "The memory that sessions may take in one pod.", Schema(.bytes(1 << 20...1 << 42)),
            .defaults("512Mi")),
        Field(
            "idleTTL", "How long a session stays after its last turn.", .duration(.seconds(1)...days(30)),
            .defaults("15m")),
    ])

    private static let redis = Schema.object([
        Field("mode", "The kind of server.", .choice(AgentPoolSpec.Redis.Mode.self), .defaults("Standalone")),
        Field(
            "addresses", "host:port, one or more.", .list(.text(3...259, .hostAndPort), 1...32, .value),
            .required),
        Field("secretRef", "A Secret with the keys username and password.", .objectRef),
        Field(
            "tls", "Present: connections use TLS.",
            .object([
                Field("caSecretRef", "A PEM bundle in place of the system's authorities.", .secretKeyRef),
                Field(
                    "certificateSecretRef",
                    "A client's certificate: a Secret with the keys tls.crt and tls.key.",
                    .objectRef),
                Field(
                    "serverName", "The name that the server's certificate must carry; absent, the host's.",
                    .host),
            ])),
        Field(
            "checkpointTTL", "How long a session's state is kept after its last turn.",
            .duration(.seconds(60)...days(3650)), .defaults("168h")),
        Field(
            "waitReplicas", "Replicas that must confirm a turn before it is acknowledged.", .integer(0...5),
            .defaults(0)),
    ])

    private static let milvus = Schema.object([
        Field("address", "http(s)://host:port.", .url, .required),
        Field("secretRef", "A Secret with the keys username and password, or token.", .objectRef),
        Field(
            "collection", "The collection, which belongs to one embedding model.",
            .text(1...255, .collection),
            .derived("namespace_name of the pool")),
        Field(
            "retention", "How long an archived batch is kept.", .duration(.seconds(3600)...days(36500)),
            .defaults("2160h")),
    ])

    private static let embedded = Schema.object([
        Field(
            "storage", "The size of the volume for the file; absent, the file goes with the pod.",
            Schema(.bytes(1 << 20...1 << 50))
        ).clusterOnly(),
        Field(
            "checkpointTTL", "How long a session's state is kept after its last turn.",
            .duration(.seconds(60)...days(3650)), .defaults("168h")),
    ])

    private static let recall = Schema.object([
        Field("topK", "Memories that a turn is given at most.", .integer(1...100), .defaults(6)),
        Field(
            "minScore", "Memories that score less are left out.", Schema(.number(0...1)), .defaults(0.35)),
        Field(
            "deadline", "How long a turn waits for each search.",
            .duration(.milliseconds(1)...(.seconds(30))),
            .defaults("80ms")),
        Field(
            "embeddingDeadline", "How long a turn waits for the embedding of its question.",
            .duration(.milliseconds(1)...(.seconds(30))), .defaults("150ms")),
    ])

    static func days(_ count: Int) -> Duration { .seconds(count * 86400) }
}

/// The documents that a manifest file may hold, as whole objects, and the worker's configuration file.

extension ManifestSchema {
    static let agentPool = Schema.object([
        Field("apiVersion", "The version of this form.", Schema(.choice([AgentPool.apiVersion])), .required),
        Field("kind", "AgentPool.", Schema(.choice([AgentPool.kind])), .required),
        Field(
            "metadata", "The object's name and labels.", metadata(name: .text(1...40, .poolName)), .required),
        Field("spec", "What the pool is to be.", spec, .required),
        Field("status", "What the cluster reports about it.", status),
    ])

    static let secret = Schema.object(
        header(kind: "Secret") + [
            Field("type", "Any; not read.", .text(0...253)),
            Field("data", "Values in base64.", texts, .defaults([:])),
            Field("stringData", "Values as text; they win over data.", texts, .defaults([:])),
        ])

    static let configMap = Schema.object(
        header(kind: "ConfigMap") + [
            Field("data", "Values as text.", texts, .defaults([:]))
        ])

    static let workerConfig = Schema.object([
        Field("version", "The version of this form.", .integer(1...1_000_000), .required),
        Field(
            "pool", "Which pool this is.",
            .object([
                Field("namespace", "Its namespace.", .name, .defaults("default")),
                Field("name", "Its name.", .text(1...40, .poolName), .required),
            ]), .required),
        Field("spec", "The pool's specification.", spec, .required),
    ])

    /// 1 MiB: as much as Kubernetes allows a whole object.
    private static let texts = Schema(.texts(length: 1 << 20))

    private static func header(kind: String) -> [Field] {
        [
            Field("apiVersion", "v1.", Schema(.choice(["v1"])), .required),
            Field("kind", "\(kind).", Schema(.choice([kind])), .required),
            Field("metadata", "The object's name and labels.", metadata(name: .objectName), .required),
            Field("immutable", "Not read.", .ignored),
        ]
    }

    private static func metadata(name: Schema) -> Schema {
        .object(
            [
                Field("name", "The object's name.", name, .required),
                Field("namespace", "The object's namespace.", .name, .defaults("default")),
                Field("labels", "Labels.", .texts, .defaults([:])),
                Field("annotations", "Annotations.", .texts, .defaults([:])),
            ]
                + [
                    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers",
                    "generateName", "generation", "managedFields", "ownerReferences", "resourceVersion",
                    "selfLink", "uid",
                ].map { Field($0, "Written by the API server.", .ignored) })
    }

    static let status = Schema.object([
        Field("observedGeneration", "The generation that this status speaks of.", .integer(0...Int.max)),
        Field("replicas", "Pods that exist.", .integer(0...Int.max)),
        Field("readyReplicas", "Pods that take turns.", .integer(0...Int.max)),
        Field("updatedReplicas", "Pods of the current configuration.", .integer(0...Int.max)),
        Field("selector", "The label selector of the pods.", .text(0...1024)),
        Field("url", "Where clients reach the pool.", .text(0...2048)),
        Field("activeSessions", "Sessions with a turn within memory.session.idleTTL.", .integer(0...Int.max)),
        Field("conditions", "The pool's state.", .list(condition, 0...16, .field("type"))),
    ])

    private static let condition = Schema.object([
        Field("type", "Ready, Reconciling, Stalled, Available or Degraded.", .text(1...316), .required),
        Field("status", "True, False or Unknown.", Schema(.choice(["True", "False", "Unknown"])), .required),
        Field("reason", "A stable word for programs.", .text(1...1024), .required),
        Field("message", "A sentence for people.", .text(0...32768), .required),
        Field("lastTransitionTime", "When the status last changed.", .text(1...64), .required),
        Field("observedGeneration", "The generation that it speaks of.", .integer(0...Int.max)),
    ])
}

/// The manifest's fields on running a pool: limits, scaling, routes, drain and access.

extension ManifestSchema {
    static let concurrency = Schema.object([
        Field("maxRunningTurns", "Turns that run at the same time.", .integer(1...65536), .defaults(256)),
        Field(
            "maxQueuedTurns", "Turns that wait for a place; beyond it a request is refused at once.",
            .integer(0...65536), .defaults(512)),
        Field("turnTimeout", "How long a turn may run.", .duration(.seconds(1)...days(1)), .defaults("10m")),
    ])

    static let autoscaling = Schema.object([
        Field("minReplicas", "Pods at least.", .integer(1...1000), .defaults(1)),
        Field(
            "maxReplicas", "Pods at most.", .integer(1...1000),
            .derived("minReplicas without Redis; with it 10, or minReplicas if that is more")),
        Field("targetActiveSessions", "Active sessions a pod.", .integer(1...1_000_000), .defaults(500)),
        Field("targetPendingRequests", "Waiting turns a pod.", .integer(1...65536), .defaults(10)),
        Field("targetCPU", "CPU a pod; absent, CPU does not scale the pool.", Schema(.cpu)),
        Field(
            "scaleDownWindow", "How long the load must be lower before pods go.",
            .duration(.seconds(0)...(.seconds(3600))), .defaults("5m")),
    ]).checking(autoscalingRules)

    static let ingress = Schema.object([
        Field("host", "The host name.", .host, .required),
        Field("className", "The IngressClass; absent, the cluster's default.", .objectName),
        Field("tlsSecretName", "The Secret with the certificate; absent, plain HTTP.", .objectName),
        Field(
            "annotations", "Added to the Ingress; they win over those of the affinity.", .texts,
            .defaults([:])),
        Field(
            "affinity", "How the proxy sends a session's requests to one pod.",
            .object([
                Field(
                    "provider",
                    "Whose annotations to write: of ingress-nginx, of Traefik, of HAProxy Technologies' kubernetes-ingress, or none.",
                    .choice(AgentPoolSpec.Ingress.Affinity.Provider.self), .defaults("Nginx")),
                Field(
                    "by",
                    "What the proxy tells sessions apart by: its own cookie, or the header X-Session-Id.",
                    .choice(AgentPoolSpec.Ingress.Affinity.Key.self), .defaults("Cookie")),
                Field(
                    "maxAge", "The cookie's life.", .duration(.seconds(60)...days(365)), .defaults("48h")),
            ]).checking(affinityRules), .defaults([:])),
    ])

    static let gateway = Schema.object([
        Field(
            "parentRefs", "The Gateways.",
            .list(
                .object([
                    Field("name", "The Gateway's name.", .objectName, .required),
                    Field("namespace", "Its namespace; absent, the pool's.", .name),
                ]), 1...32), .required),
        Field("hostnames", "Host names.", .list(.host, 0...16, .value), .defaults([])),
    ])

    static let drain = Schema.object([
        Field(
            "delay", "How long a pod under deletion goes on as before, while proxies learn of it.",
            .duration(.seconds(0)...(.seconds(600))), .defaults("15s")
        ).clusterOnly(),
        Field(
            "timeout", "How long running turns may take after the delay.",
            .duration(.seconds(1)...days(1)), .derived("concurrency.turnTimeout")),
    ])

    static let auth = Schema.object([
        Field(
            "mode", "How callers show who they are.", .choice(AgentPoolSpec.Auth.Mode.self),
            .derived("APIKeys with apiKeysSecretRef, JWT with jwt, else None")),
        Field(
            "apiKeysSecretRef",
            "A Secret whose keys are the names of credentials and whose values are API keys.",
            .objectRef),
        Field(
            "trustedKeys", "Credentials that may name the end user they speak for.",
            .list(.text(1...253, .secretKey), 0...256, .value), .defaults([])),
        Field(
            "jwt", "Tokens of an issuer.",
            .object([
                Field("issuer", "The value of iss.", .text(1...2048), .required),
                Field("audience", "The value of aud.", .text(1...256), .required),
                Field("jwksURL", "Where the issuer's keys are.", .url, .required),
            ])
        ).notYet("JWT authentication is"),
    ]).checking(authRules)

    static let pod = Schema.object([
        Field(
            "template",
            "A partial pod template, merged strategically over the controller's; the container is called worker.",
            .anyObject, .defaults([:]))
    ])
}

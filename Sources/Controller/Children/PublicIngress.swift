/// The Ingress of a pool.
import Kubernetes
import PoolAPI

enum PublicIngress {
    static func desired(_ context: PoolContext) -> Child? {
        guard let ingress = context.spec.ingress else { return nil }
        var spec: [String: JSONValue] = [
            "rules": [
                [
                    "host": .string(ingress.host),
                    "http": [
                        "paths": [
                            [
                                "path": "/", "pathType": "Prefix",
                                "backend": [
                                    "service": [
                                        "name": .string(PoolNames.main(context.name)),
                                        "port": ["name": "http"],
                                    ]
                                ],
                            ]
                        ]
                    ],
                ]
            ]
        ]
        if let className = ingress.className { spec["ingressClassName"] = .string(className) }
        if let secret = ingress.tlsSecretName {
            spec["tls"] = [["hosts": [.string(ingress.host)], "secretName": .string(secret)]]
        }
        return Child(
            .ingresses, PoolNames.main(context.name), of: context,
            annotations: ProxyRules.ingressAnnotations(ingress).merging(ingress.annotations) { _, user in user
            },
            ["spec": .object(spec)])
    }
}

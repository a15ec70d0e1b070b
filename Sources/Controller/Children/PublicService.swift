/// The Service that clients and proxies reach a pool by.
import Kubernetes
import PoolAPI

enum PublicService {
    static let port = 80

    static func desired(_ context: PoolContext) -> Child {
        Child(
            .services, PoolNames.main(context.name), of: context,
            annotations: context.spec.ingress.map { ProxyRules.serviceAnnotations($0) } ?? [:],
            [
                "spec": [
                    "type": "ClusterIP", "selector": context.podSelector,
                    "ports": [
                        [
                            "name": "http", "protocol": "TCP", "port": .integer(port), "targetPort": "http",
                            "appProtocol": "http",
                        ]
                    ],
                ]
            ])
    }
}

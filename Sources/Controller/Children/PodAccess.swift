/// The NetworkPolicy of a pool's pods: everybody may talk to the agents, only those who run the pool to the admin port, only the
/// pool's own pods to the peer port.
import Kubernetes
import PoolAPI

enum PodAccess {
    static func desired(_ context: PoolContext) -> Child {
        // KEDA asks for the load, the controller too, and monitoring for the metrics.
        var namespaces = [context.settings.namespace] + context.settings.monitoringNamespaces
        if LoadScaling.isWanted(context) { namespaces.append(context.settings.kedaNamespace) }
        let operators = Set(namespaces).sorted().map { namespace -> JSONValue in
            ["namespaceSelector": ["matchLabels": ["kubernetes.io/metadata.name": .string(namespace)]]]
        }
        var ingress: [JSONValue] = [
            ["ports": [["protocol": "TCP", "port": "http"]]],
            ["from": .array(operators), "ports": [["protocol": "TCP", "port": "admin"]]],
        ]
        if context.hasPeers {
            // Without a selector of namespaces these are pods of the pool's own.
            ingress.append([
                "from": [["podSelector": ["matchLabels": context.podSelector]]],
                "ports": [["protocol": "TCP", "port": "peer"]],
            ])
        }
        return Child(
            .networkPolicies, PoolNames.main(context.name), of: context,
            [
                "spec": [
                    "podSelector": ["matchLabels": context.podSelector],
                    "policyTypes": ["Ingress"],
                    "ingress": .array(ingress),
                ]
            ])
    }
}

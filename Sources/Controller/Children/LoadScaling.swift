/// The ScaledObject that scales a pool by its sessions, its queue and its CPU, where KEDA is installed.
import Kubernetes
import PoolAPI

enum LoadScaling {
    static func isWanted(_ context: PoolContext) -> Bool {
        context.spec.autoscaling != nil && context.features.hasKEDA
    }

    static func desired(_ context: PoolContext) -> Child? {
        guard isWanted(context), let scaling = context.spec.autoscaling else { return nil }
        var triggers = [
            loadTrigger(
                context, name: "sessions", value: "activeSessions", target: scaling.targetActiveSessions),
            loadTrigger(
                context, name: "pending", value: "pendingRequests", target: scaling.targetPendingRequests),
        ]
        if let cpu = scaling.targetCPU {
            triggers.append([
                "type": "cpu", "name": "cpu", "metricType": "AverageValue",
                "metadata": [
                    "value": .string(cpu.text), "containerName": .string(PoolNames.workerContainer),
                ],
            ])
        }
        return Child(
            .scaledObjects, PoolNames.main(context.name), of: context,
            [
                "spec": [
                    "scaleTargetRef": ["name": .string(PoolNames.main(context.name))],
                    "minReplicaCount": .integer(scaling.minReplicas),
                    "maxReplicaCount": .integer(scaling.maxReplicas),
                    "pollingInterval": 15,
                    // A load that nobody can tell is no reason to shrink.
                    "fallback": [
                        "failureThreshold": 3, "replicas": .integer(scaling.minReplicas),
                        "behavior": "currentReplicasIfHigher",
                    ],
                    "advanced": [
                        "restoreToOriginalReplicaCount": false,
                        "horizontalPodAutoscalerConfig": ["behavior": scaling.behavior],
                    ],
                    "triggers": .array(triggers),
                ]
            ])
    }

    /// One worker answers for the whole pool, so the value is the pool's and the target a pod's share of it.
    private static func loadTrigger(
        _ context: PoolContext, name: String, value: String, target: Int
    ) -> JSONValue {
        [
            "type": "metrics-api", "name": .string(name), "metricType": "AverageValue",
            "metadata": [
                "url": .string(AdminService.loadURL(context)), "valueLocation": .string(value),
                "targetValue": .string(String(target)),
            ],
        ]
    }
}

extension AgentPoolSpec.Autoscaling {
    /// A tenth of the pods a minute may go, once the load was lower for the whole window.
    var behavior: JSONValue {
        [
            "scaleDown": [
                "stabilizationWindowSeconds": .integer(scaleDownWindow.seconds),
                "policies": [["type": "Percent", "value": 10, "periodSeconds": 60]],
            ]
        ]
    }
}

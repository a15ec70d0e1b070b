/// The HorizontalPodAutoscaler that scales a pool by its CPU, where KEDA is not installed; beside KEDA's own it would stop both.
import Kubernetes
import PoolAPI

enum CPUScaling {
    /// Four fifths of a worker's requested CPU, for a pool that names no target.
    static let standardTarget = "400m"

    static func desired(_ context: PoolContext) -> Child? {
        guard let scaling = context.spec.autoscaling, !context.features.hasKEDA else { return nil }
        return Child(
            .horizontalPodAutoscalers, PoolNames.main(context.name), of: context,
            [
                "spec": [
                    "scaleTargetRef": [
                        "apiVersion": "apps/v1", "kind": "Deployment",
                        "name": .string(PoolNames.main(context.name)),
                    ],
                    "minReplicas": .integer(scaling.minReplicas),
                    "maxReplicas": .integer(scaling.maxReplicas),
                    "metrics": [
                        [
                            "type": "ContainerResource",
                            "containerResource": [
                                "name": "cpu", "container": .string(PoolNames.workerContainer),
                                "target": [
                                    "type": "AverageValue",
                                    "averageValue": .string(scaling.targetCPU?.text ?? standardTarget),
                                ],
                            ],
                        ]
                    ],
                    "behavior": scaling.behavior,
                ]
            ])
    }

    static func limitation(_ context: PoolContext) -> Limitation? {
        guard context.spec.autoscaling != nil, !context.features.hasKEDA else { return nil }
        return Limitation(
            reason: "LoadScalingUnavailable",
            message: "the pool is scaled by CPU alone, not by its sessions and its queue: install KEDA")
    }
}

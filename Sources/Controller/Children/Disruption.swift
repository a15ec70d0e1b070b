/// The PodDisruptionBudget of a pool: one pod at a time leaves a node that is being emptied.
import Kubernetes
import PoolAPI

enum Disruption {
    static func desired(_ context: PoolContext) -> Child {
        Child(
            .podDisruptionBudgets, PoolNames.main(context.name), of: context,
            [
                "spec": [
                    "maxUnavailable": 1,
                    // Pods that serve nobody may go at any time: otherwise a pool that is down keeps its nodes.
                    "unhealthyPodEvictionPolicy": "AlwaysAllow",
                    "selector": ["matchLabels": context.podSelector],
                ]
            ])
    }
}

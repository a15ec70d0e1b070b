/// The Deployment of a pool's workers.
import Kubernetes
import PoolAPI

enum WorkerDeployment {
    static func desired(_ context: PoolContext, template: JSONValue) -> Child {
        var spec: [String: JSONValue] = [
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": 900,
            "strategy": strategy(context.spec),
            "selector": ["matchLabels": context.podSelector],
            "template": template,
        ]
        // The number belongs to the autoscaler where there is one: two writers would undo each other's.
        if context.spec.autoscaling == nil { spec["replicas"] = .integer(context.spec.replicas) }
        return Child(
            .deployments, PoolNames.main(context.name), of: context, ["spec": .object(spec)])
    }

    private static func strategy(_ spec: AgentPoolSpec) -> JSONValue {
        // A volume that one node holds can't be given to a new pod before the old one has let go of it.
        if DataVolume.size(spec) != nil { return ["type": "Recreate"] }
        return [
            "type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": 0, "maxSurge": "25%"],
        ]
    }
}

/// The Job that forgets a deleted pool's memory where its reclaim policy is Delete.
import Kubernetes
import PoolAPI

public enum PurgeJob {
    /// Whether there is anything to forget: a volume goes with its pool, servers do not.
    public static func isNeeded(_ spec: AgentPoolSpec) -> Bool {
        spec.memory.reclaimPolicy == .delete && (spec.memory.redis != nil || spec.memory.milvus != nil)
    }

    /// The Job. It reads the pool's current ConfigMap, which must be there still.
    /// - Throws: As `Children.desired`.
    public static func desired(_ context: PoolContext) throws -> Child {
        let config = try PoolConfig.desired(context).name
        let files = MountedFiles(context.spec, config: config)
        // Not the workers' label: a Service would send this pod requests, and the pool would count it.
        var labels = PoolNames.labels(context.name)
        labels[PoolNames.poolLabel] = nil
        labels[PoolNames.purgeLabel] = context.name
        var pod: [String: JSONValue] = [
            "restartPolicy": "Never",
            "serviceAccountName": .string(PoolNames.main(context.name)),
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": Restricted.pod,
            "containers": [container(context, files)],
            "volumes": .array(
                files.volumes + [
                    ["name": "data", "emptyDir": [:]], ["name": "tmp", "emptyDir": ["sizeLimit": "256Mi"]],
                ]),
        ]
        // A partial template that can't be merged is told elsewhere; it must not keep a pool from being deleted.
        let worker = try? PodTemplate.worker(context, config: config)
        for field in ["imagePullSecrets", "nodeSelector", "tolerations"] {
            pod[field] = worker?["spec"]?[field]
        }
        return Child(
            .jobs, PoolNames.purge(context.name), of: context,
            [
                "spec": [
                    "backoffLimit": 4,
                    "activeDeadlineSeconds": 900,
                    "ttlSecondsAfterFinished": 3600,
                    "template": ["metadata": ["labels": .texts(labels)], "spec": .object(pod)],
                ]
            ])
    }

    private static func container(_ context: PoolContext, _ files: MountedFiles) -> JSONValue {
        [
            "name": "purge",
            "image": .string(context.spec.image ?? context.settings.image),
            "args": .texts(["purge", "--config", "\(WorkerPath.config)/\(PoolNames.configKey)"]),
            "env": [["name": "HOME", "value": .string(WorkerPath.data)]],
            "securityContext": Restricted.container,
            "resources": ["requests": ["cpu": "100m", "memory": "256Mi"], "limits": ["memory": "512Mi"]],
            "volumeMounts": .array(
                files.mounts + [
                    ["name": "data", "mountPath": .string(WorkerPath.data)],
                    ["name": "tmp", "mountPath": "/tmp"],
                ]),
        ]
    }
}

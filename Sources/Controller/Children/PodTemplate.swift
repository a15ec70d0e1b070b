/// The pod of a worker: the template that the controller makes, with the pool's own merged over it.
import Kubernetes
import PoolAPI

enum PodTemplate {
    /// Seconds that a worker gets after its last turn to write what is left and to end.
    private static let flushSeconds = 30

    /// - Throws: `ManifestError` where the pool's partial template can't be merged.
    static func worker(_ context: PoolContext, config: String) throws(ManifestError) -> JSONValue {
        let files = MountedFiles(context.spec, config: config)
        let claim: JSONValue =
            DataVolume.size(context.spec) == nil
            ? ["name": "data", "emptyDir": [:]]
            : [
                "name": "data",
                "persistentVolumeClaim": ["claimName": .string(PoolNames.data(context.name))],
            ]
        let template: JSONValue = [
            "metadata": [
                "labels": .texts(PoolNames.labels(context.name)),
                "annotations": [PoolNames.configAnnotation: .string(config)],
            ],
            "spec": [
                "serviceAccountName": .string(PoolNames.main(context.name)),
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": .integer(gracePeriod(context.spec)),
                "securityContext": Restricted.pod,
                "topologySpreadConstraints": .array(
                    ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map {
                        spread(context, over: $0)
                    }),
                "containers": [container(context, files)],
                "volumes": .array(
                    files.volumes + [claim, ["name": "tmp", "emptyDir": ["sizeLimit": "256Mi"]]]),
            ],
        ]
        guard let own = context.spec.pod?.template, !own.isEmpty else { return template }
        return try PodTemplateMerge.merge(own, over: template)
    }

    /// The delay, the turns that run then, and the flush. The period begins before the preStop hook does.
    private static func gracePeriod(_ spec: AgentPoolSpec) -> Int {
        spec.drain.delay.seconds + max(spec.drain.timeout.seconds, spec.concurrency.turnTimeout.seconds)
            + flushSeconds
    }

    /// Evenly as far as it goes; a cluster that has no room for that gets the pods all the same.
    private static func spread(_ context: PoolContext, over key: String) -> JSONValue {
        [
            "maxSkew": 1, "topologyKey": .string(key), "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": ["matchLabels": context.podSelector],
            // The pods of an older template don't count, or a roll-out would leave the new ones uneven.
            "matchLabelKeys": ["pod-template-hash"],
        ]
    }

    private static func container(_ context: PoolContext, _ files: MountedFiles) -> JSONValue {
        let memory = JSONValue.string(memory(context.spec))
        var environment: [JSONValue] = [
            ["name": "POD_NAME", "valueFrom": ["fieldRef": ["fieldPath": "metadata.name"]]],
            ["name": "HOME", "value": .string(WorkerPath.data)],
        ]
        var ports = [port("http", WorkerPort.public), port("admin", WorkerPort.admin)]
        if context.hasPeers {
            // The address by which the pool's other workers find this one.
            environment.append(
                ["name": "POD_IP", "valueFrom": ["fieldRef": ["fieldPath": "status.podIP"]]])
            ports.append(port("peer", WorkerPort.peer))
        }
        return [
            "name": .string(PoolNames.workerContainer),
            "image": .string(context.spec.image ?? context.settings.image),
            "args": .texts(arguments(context.spec)),
            "env": .array(environment),
            "ports": .array(ports),
            "securityContext": Restricted.container,
            "resources": [
                "requests": ["cpu": "500m", "memory": memory], "limits": ["memory": memory],
            ],
            // The process may migrate a volume's file before it answers.
            "startupProbe": probe("/startupz", period: 2, failures: 60),
            "readinessProbe": probe("/readyz", period: 5, failures: 2),
            // A worker whose loops stand still can't drain: its turns are lost already.
            "livenessProbe": probe("/livez", period: 10, failures: 3, grace: 30),
            "lifecycle": ["preStop": ["exec": ["command": [.string(WorkerPath.binary), "drain"]]]],
            "volumeMounts": .array(
                files.mounts + [
                    ["name": "data", "mountPath": .string(WorkerPath.data)],
                    ["name": "tmp", "mountPath": "/tmp"],
                ]),
        ]
    }

    private static func port(_ name: String, _ number: Int) -> JSONValue {
        ["name": .string(name), "containerPort": .integer(number), "protocol": "TCP"]
    }

    private static func arguments(_ spec: AgentPoolSpec) -> [String] {
        let arguments = ["worker", "--config", "\(WorkerPath.config)/\(PoolNames.configKey)"]
        // Without authentication a worker stays on loopback unless it is told otherwise; in a pod nobody would reach it.
        return spec.auth.mode == .none ? arguments + ["--host", "0.0.0.0"] : arguments
    }

    /// The sessions of the first tier with a quarter for what is held twice on the way, and 384 MiB for turns, caches and the process.
    private static func memory(_ spec: AgentPoolSpec) -> String {
        let mebibyte = 1 << 20
        let sessions = (spec.memory.session.maxBytes.bytes + mebibyte - 1) / mebibyte * 5 / 4
        let total = (sessions + 384 + 63) / 64 * 64
        // As the API server writes the amount itself.
        return total % 1024 == 0 ? "\(total / 1024)Gi" : "\(total)Mi"
    }

    private static func probe(_ path: String, period: Int, failures: Int, grace: Int? = nil) -> JSONValue {
        var probe: [String: JSONValue] = [
            "httpGet": ["path": .string(path), "port": "admin", "scheme": "HTTP"],
            "periodSeconds": .integer(period), "timeoutSeconds": 3, "failureThreshold": .integer(failures),
        ]
        if let grace { probe["terminationGracePeriodSeconds"] = .integer(grace) }
        return .object(probe)
    }
}

/// The headless Service of the admin port: KEDA and the controller read the pool's load there, also while no pod is ready.
import Kubernetes
import PoolAPI

enum AdminService {
    static func desired(_ context: PoolContext) -> Child {
        Child(
            .services, PoolNames.admin(context.name), of: context,
            [
                "spec": [
                    "type": "ClusterIP", "clusterIP": "None", "publishNotReadyAddresses": true,
                    "selector": context.podSelector,
                    "ports": [
                        [
                            "name": "admin", "protocol": "TCP", "port": .integer(WorkerPort.admin),
                            "targetPort": "admin",
                        ]
                    ],
                ]
            ])
    }

    /// Where any worker tells the load of the whole pool.
    static func loadURL(_ context: PoolContext) -> String {
        "http://\(PoolNames.admin(context.name)).\(context.namespace).svc:\(WorkerPort.admin)/load"
    }
}

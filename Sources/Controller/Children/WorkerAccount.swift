/// The identity of a pool's pods, which may do nothing: workers never call the API server.
import Kubernetes
import PoolAPI

enum WorkerAccount {
    static func desired(_ context: PoolContext) -> Child {
        Child(
            .serviceAccounts, PoolNames.main(context.name), of: context,
            ["automountServiceAccountToken": false])
    }
}

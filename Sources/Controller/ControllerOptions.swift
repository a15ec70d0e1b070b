/// How the controller runs: what it watches, how much at one time, how often, and under which lease.
import Kubernetes
import PoolAPI

public struct ControllerOptions: Sendable {
    /// The namespaces whose pools are served; nil for all.
    public var namespaces: [String]?
    /// Pools that are worked on at one time.
    public var workers = 4
    /// The lease under which one controller of several leads.
    public var leaseName = "agentpool-controller"
    public var leaseNamespace = "agentpool-system"
    /// Who holds the lease; unique among the controllers of a cluster.
    public var identity: String
    public var leaseTiming = LeaseTiming()
    /// Each pool is looked at anew, and all that it owns with it, this often and up to a tenth more by chance.
    public var resyncInterval: Duration = .seconds(36_000)
    /// Between two questions for a pool's load.
    public var loadInterval: Duration = .seconds(15)
    /// Where a pool says what its load is.
    public var loadURL: @Sendable (PoolReference) -> String = {
        "http://\($0.name)-admin.\($0.namespace).svc:\(WorkerPort.admin)/load"
    }
    /// Between two looks at which APIs the cluster serves.
    public var discoveryInterval: Duration = .seconds(300)
    /// Pools that roll at one time when a new version of the operator changes all of them.
    public var maxRollingPools = 5
    /// The delay after a first failure, doubled with each that follows up to `lastRetry`.
    public var firstRetry: Duration = .milliseconds(250)
    public var lastRetry: Duration = .seconds(60)
    /// How long a pool that is purged may wait for its pods beyond their drain.
    public var purgeTimeout: Duration = .seconds(600)
    /// How long the Job of a purge may take, its pod's start included.
    public var purgeJobTimeout: Duration = .seconds(1_200)
    /// Metrics and health; nil for none. 0 asks the system for a free port.
    public var metricsPort: Int? = 8081
    public var metricsHost = "0.0.0.0"
    /// Told the port of metrics and health once it is open.
    public var onListening: @Sendable (Int) -> Void = { _ in }

    public init(identity: String) {
        self.identity = identity
    }
}

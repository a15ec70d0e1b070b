/// The names that a pool's objects have in a cluster, and the labels and annotations that tell whose they are.

public enum PoolNames {
    /// The field manager of everything that the controller applies.
    public static let fieldManager = "agentpool"

    /// On every object of a pool and on its workers' pods: the pool's name. The pods are selected by it.
    public static let poolLabel = "agentpool.dev/pool"
    public static let managedByLabel = "app.kubernetes.io/managed-by"
    public static let managedBy = "agentpool"
    public static let appLabel = "app.kubernetes.io/name"
    public static let instanceLabel = "app.kubernetes.io/instance"
    /// On the pods of a purge, in the place of `poolLabel`: no Service may send them requests.
    public static let purgeLabel = "agentpool.dev/purge"

    /// On a pod template: the ConfigMap that its pods read.
    public static let configAnnotation = "agentpool.dev/config"
    /// On every object that the controller applied: the digest of the manifest without this annotation.
    public static let digestAnnotation = "agentpool.dev/manifest-digest"
    /// On an AgentPool whose memory goes with it.
    public static let purgeFinalizer = "agentpool.dev/purge"

    /// The key of the configuration in a pool's ConfigMap.
    public static let configKey = "worker.json"
    /// The container of a pod template that runs the worker.
    public static let workerContainer = "worker"
    /// The cookie by which a proxy finds a session's pod; the session's own cookie is another.
    public static let routeCookie = "agentpool-route"
    /// The header that names a session, as proxies may hash it.
    public static let sessionHeader = "X-Session-Id"

    /// What finds all objects of all pools.
    public static let managedSelector = "\(managedByLabel)=\(managedBy)"

    /// What finds the workers' pods of one pool; also the text of `status.selector`.
    public static func podSelector(_ pool: String) -> String { "\(poolLabel)=\(pool)" }

    /// The labels of every object of a pool.
    public static func labels(_ pool: String) -> [String: String] {
        [poolLabel: pool, managedByLabel: managedBy, appLabel: "agentpool", instanceLabel: pool]
    }

    /// The ServiceAccount, Service, Deployment and whatever else a pool has one of.
    public static func main(_ pool: String) -> String { pool }

    /// The headless Service of the admin port.
    public static func admin(_ pool: String) -> String { "\(pool)-admin" }

    /// The ConfigMap of one configuration, named by the first eight hexadecimal digits of its digest.
    public static func config(_ pool: String, digest: String) -> String {
        "\(pool)-config-\(digest.prefix(8))"
    }

    /// The volume of the embedded stores.
    public static func data(_ pool: String) -> String { "\(pool)-data" }

    /// The Job that forgets a deleted pool's memory.
    public static func purge(_ pool: String) -> String { "\(pool)-purge" }
}

/// Where things are in a worker's container.
public enum WorkerPath {
    /// The one binary.
    public static let binary = "/usr/local/bin/agentpool"
    /// The directory of the configuration.
    public static let config = "/etc/agentpool"
    /// A directory for each Secret, a file for each of its keys.
    public static let secrets = "\(config)/secrets"
    /// A directory for each skill, with its name.
    public static let skills = "\(config)/skills"
    /// The embedded stores' file, and the home directory.
    public static let data = "/var/lib/agentpool"
}

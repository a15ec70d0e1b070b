/// Where a worker listens and keeps its files, and where it can be reached once it runs.
import NIOCore
import PoolAPI

/// What a worker needs beside its configuration: where it listens, keeps its files and finds its secrets.
public struct WorkerSettings: Sendable {
    public var host = "127.0.0.1"
    /// 0: any free port.
    public var port = WorkerPort.public
    public var adminHost = "127.0.0.1"
    public var adminPort = WorkerPort.admin
    /// The port for requests of the pool's other workers, and what they are told to reach it by. Used only with a shared store; a host
    /// without an advertised one is not reached.
    public var peerHost = "127.0.0.1"
    public var peerPort = 0
    public var advertisedPeerHost: String?
    /// Take any free admin port where `adminPort` is taken.
    public var adminPortMayChange = false
    /// Of the embedded stores.
    public var dataDirectory: String
    public var podName: String
    /// The folders of the pool's skills, by the manifest's names.
    public var skillFolders: [String: String] = [:]
    /// How long a drain goes on serving before it refuses.
    public var drainDelay: Duration = .zero
    public var maxConnections = 19_000
    public var limits = ConnectionLimits()
    /// One core is left to the thread that talks to the models.
    public var eventLoopThreads = max(1, System.coreCount - 1)

    public init(dataDirectory: String, podName: String) {
        self.dataDirectory = dataDirectory
        self.podName = podName
    }
}

/// Where a started worker can be reached.
public struct WorkerAddresses: Sendable {
    public var port: Int
    public var adminPort: Int
    /// Nil where there are no other workers.
    public var peerPort: Int?
}

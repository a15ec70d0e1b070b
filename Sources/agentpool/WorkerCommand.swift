/// `agentpool worker`: the agent pod's process.
import ArgumentParser
import Foundation
import Logging
import PoolAPI
import Worker

struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Serve a pool as its pod does, from a worker configuration.",
        discussion: """
            Public port \(WorkerPort.public), admin port \(WorkerPort.admin), peer port \(WorkerPort.peer). With auth.mode None the public port stays on \
            loopback unless --host says otherwise. SIGTERM drains: running turns finish, then the process exits with 0. \
            With fields in the configuration that this version can't serve it serves nothing, and says which at /readyz.
            """)

    @Option(help: "The worker configuration (YAML or JSON).")
    var config: String

    @Option(help: "Where Secrets are mounted, as DIR/<secret>/<key>.")
    var secrets = "/etc/agentpool/secrets"

    @Option(help: "Where skills are mounted, as DIR/<skill>.")
    var skills = WorkerPath.skills

    @Option(help: "Where the embedded stores keep their file.")
    var data = "/var/lib/agentpool"

    @Option(help: "The public port's address. Default: all interfaces; loopback with auth.mode None.")
    var host: String?

    @Option(help: "The public port.")
    var port = WorkerPort.public

    @Option(help: "The admin port's address.")
    var adminHost = "0.0.0.0"

    @Option(help: "The admin port.")
    var adminPort = WorkerPort.admin

    @Option(help: "The address of the port for the pool's other workers. Used with Redis only.")
    var peerHost = "0.0.0.0"

    @Option(help: "The port for the pool's other workers.")
    var peerPort = WorkerPort.peer

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel: Logger.Level = .info

    func run() async throws {
        LogOutput.bootstrap(level: logLevel)
        let logger = Logger(label: "agentpool")
        let worker = try Configuration.worker(config)
        OpenFiles.raiseLimit(logger)
        var settings = WorkerSettings(
            dataDirectory: data,
            podName: ProcessInfo.processInfo.environment["POD_NAME"] ?? ProcessInfo.processInfo.hostName)
        settings.host = host ?? (worker.spec.auth.mode == .none ? "127.0.0.1" : "0.0.0.0")
        settings.port = port
        settings.adminHost = adminHost
        settings.adminPort = adminPort
        settings.peerHost = peerHost
        settings.peerPort = peerPort
        // In a pod its own address; elsewhere the one that was given, if it is one that others can use.
        settings.advertisedPeerHost =
            ProcessInfo.processInfo.environment["POD_IP"]
            ?? (["0.0.0.0", "::"].contains(peerHost) ? nil : peerHost)
        for skill in worker.spec.skills { settings.skillFolders[skill.name] = "\(skills)/\(skill.name)" }
        settings.drainDelay = worker.spec.drain.delay.duration
        let unsupported = try worker.spec.unsupported()
        guard unsupported.isEmpty else {
            return try await Lifetime.run(
                UnservedWorker(problems: unsupported, settings: settings, logger: logger), logger)
        }
        let process = AgentWorker(
            config: worker, settings: settings, secrets: SecretStore(.directory(secrets)), logger: logger,
            onReady: { addresses in
                logger.info(
                    "serving",
                    metadata: [
                        "pool": "\(worker.pool)", "port": "\(addresses.port)",
                        "adminPort": "\(addresses.adminPort)",
                    ])
            })
        try await Lifetime.run(process, logger, onSecondSignal: { process.hurry() })
    }
}

/// `agentpool run`: an AgentPool manifest on this machine, without a cluster.
import ArgumentParser
import Foundation
import Logging
import PoolAPI
import Worker

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run an AgentPool manifest on this machine, no cluster needed.",
        discussion: """
            Takes the same YAML that kubectl apply takes, with the Secrets and ConfigMaps that it names in the same file. Without -f it \
            serves one agent on the built-in offline model. Sessions and memories are kept in --data and survive \
            restarts.
            """)

    @Option(name: [.customShort("f"), .customLong("file")], help: "The manifest; - reads standard input.")
    var file: String?

    @Option(help: "The public port; 0 takes any free one.")
    var port = WorkerPort.public

    @Option(
        help:
            "The admin port (health, metrics, load, drain). Default: \(WorkerPort.admin), or a free one if that is taken."
    )
    var adminPort: Int?

    @Option(help: "The address to listen on. Anything but loopback wants API keys in the manifest.")
    var host = "127.0.0.1"

    @Option(help: "Where the embedded stores keep their file. Default: .agentpool/NAME-OF-THE-POOL.")
    var data: String?

    @Option(help: "Where the folders of skills are that no ConfigMap of the manifest holds, as DIR/<skill>.")
    var skills: String?

    @Flag(help: "Use the embedded stores even where the manifest names Redis and Milvus.")
    var embedded = false

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel: Logger.Level = .info

    func run() async throws {
        LogOutput.bootstrap(level: logLevel)
        let logger = Logger(label: "agentpool")
        let (pool, secrets, configMaps) = try Configuration.manifest(file)
        let spec = embedded ? pool.spec.embedded() : pool.spec
        try Configuration.refuse(try spec.unsupported(), file: file)
        let clusterOnly = try spec.clusterOnlyFields()
        if !clusterOnly.isEmpty {
            logger.notice(
                "fields that only a cluster uses are left aside",
                metadata: ["fields": "\(clusterOnly.joined(separator: ", "))"])
        }
        if spec.auth.mode == .none, !Configuration.isLoopback(host) {
            logger.warning("anybody who reaches this address may use the pool: auth.mode is None")
        }

        OpenFiles.raiseLimit(logger)
        var settings = WorkerSettings(
            dataDirectory: data ?? ".agentpool/\(pool.metadata.name)", podName: "local")
        settings.host = host
        settings.port = port
        settings.adminPort = adminPort ?? WorkerPort.admin
        settings.adminPortMayChange = adminPort == nil
        settings.advertisedPeerHost = settings.peerHost
        settings.skillFolders = try ManifestSkills(
            configMaps: configMaps, copies: "\(settings.dataDirectory)/manifest-skills", machine: skills
        ).folders(of: spec, logger)
        let config = WorkerConfig(pool: pool.reference, spec: spec)
        let banner = Banner(config: config, settings: settings)
        let worker = AgentWorker(
            config: config, settings: settings, secrets: SecretStore(.values(secrets)), logger: logger,
            onReady: { FileHandle.standardOutput.write(Data(banner.text($0).utf8)) })
        try await Lifetime.run(worker, logger, onSecondSignal: { worker.hurry() })
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// A worker whose L2 acknowledges turns before it has stored them: what the crash test must catch. Takes the arguments of `agentpool run`.
import ArgumentParser
import Foundation
import Logging
import Memory
import PoolAPI
import ServiceLifecycle
import TestSupport
import Worker

@main
struct EarlyAck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agentpool-early-ack", subcommands: [Serve.self])

    struct Serve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "run")

        @Option(name: [.customShort("f"), .customLong("file")]) var file: String
        @Option var port: Int
        @Option var adminPort: Int = 0
        @Option var data: String
        @Option var host = "127.0.0.1"
        @Option var delayMilliseconds = 50

        func run() async throws {
            let manifest = try ManifestFile.parse(
                yaml: String(contentsOfFile: file, encoding: .utf8), file: file)
            let pool = manifest.pools[0]
            var settings = WorkerSettings(dataDirectory: data, podName: "early")
            settings.host = host
            settings.port = port
            settings.adminPort = adminPort
            settings.adminPortMayChange = true
            let logger = Logger(label: "early-ack")
            let (stores, made) = AsyncStream.makeStream(of: EarlyAcknowledgingStore.self)
            let delay = Duration.milliseconds(delayMilliseconds)
            let worker = AgentWorker(
                config: WorkerConfig(pool: pool.reference, spec: pool.spec), settings: settings,
                secrets: SecretStore(.values(manifest.secrets)), logger: logger,
                wrapCheckpoints: { store in
                    let early = EarlyAcknowledgingStore(store, delay: delay)
                    made.yield(early)
                    made.finish()
                    return early
                })
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for await store in stores { try await store.run() } }
                group.addTask {
                    try await ServiceGroup(
                        services: [worker], gracefulShutdownSignals: [.sigterm], logger: logger
                    ).run()
                }
                try await group.next()
                group.cancelAll()
            }
        }
    }
}

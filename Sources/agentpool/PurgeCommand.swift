/// `agentpool purge`: forgets a whole pool's memory.
import ArgumentParser
import Foundation
import Logging
import PoolAPI
import Worker

struct PurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge", abstract: "Forget a whole pool's memory: every session and every memory.",
        discussion: """
            Forgets all that belongs to the pool's memory scope in Redis and Milvus, or the file of the embedded stores. \
            Other pools' memories in the same servers stay; pools of one scope share theirs. Stop the pool's workers \
            first: it refuses while Redis or the file's lock shows one. It may be repeated, and goes on where it broke off.

            With -f it takes the pool's manifest and asks before it begins; with --config the configuration of a \
            worker, as the controller's Job does, and asks nothing. Exit codes: 0 done, 1 failed, 2 wrong configuration.
            """)

    @Option(name: [.customShort("f"), .customLong("file")], help: "The manifest; - reads standard input.")
    var file: String?

    @Option(help: "The worker configuration (YAML or JSON), in place of a manifest.")
    var config: String?

    @Option(help: "Where Secrets are mounted, as DIR/<secret>/<key>; with --config.")
    var secrets = "/etc/agentpool/secrets"

    @Option(
        help: """
            Where the embedded stores keep their file. Default: .agentpool/NAME-OF-THE-POOL, with --config \
            /var/lib/agentpool.
            """)
    var data: String?

    @Flag(help: "Forget the embedded stores' file even where the manifest names Redis and Milvus.")
    var embedded = false

    @Flag(help: "Don't ask.")
    var yes = false

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel: Logger.Level = .warning

    func validate() throws {
        guard (file == nil) != (config == nil) else {
            throw ValidationError(
                "Name the pool by its manifest (-f) or by a worker's configuration (--config).")
        }
    }

    func run() async throws {
        LogOutput.bootstrap(level: logLevel)
        let purge: Purge
        if let config {
            let worker = try Configuration.worker(config)
            purge = make(
                worker.spec, data: "/var/lib/agentpool", SecretStore(.directory(secrets)))
        } else {
            let (pool, values, _) = try Configuration.manifest(file)
            purge = make(pool.spec, data: ".agentpool/\(pool.metadata.name)", SecretStore(.values(values)))
            try confirm(purge, name: pool.metadata.name)
        }
        do {
            print(Self.words(try await purge.run()))
        } catch let error as WorkerStartError {
            throw Configuration.failure("\(error)")
        } catch {
            throw failed("purge stopped: \(error); it goes on where it stopped when it is run again")
        }
    }

    private func make(_ spec: AgentPoolSpec, data: String, _ secrets: SecretStore) -> Purge {
        Purge(
            embedded ? spec.embedded() : spec, dataDirectory: self.data ?? data, secrets: secrets,
            logger: Logger(label: "agentpool"))
    }

    private func confirm(_ purge: Purge, name: String) throws {
        guard !yes else { return }
        guard file != "-", isatty(STDIN_FILENO) == 1 else {
            throw Configuration.failure("nobody is there to be asked: give --yes to forget \(purge.target)")
        }
        FileHandle.standardError.write(
            Data("This forgets \(purge.target).\nType the pool's name (\(name)) to go on: ".utf8))
        guard readLine() == name else { throw failed("nothing was forgotten") }
    }

    private func failed(_ message: String) -> ExitCode {
        FileHandle.standardError.write(Data("agentpool: \(message)\n".utf8))
        return .failure
    }

    private static func words(_ outcome: Purge.Outcome) -> String {
        var words: [String] = []
        if let keys = outcome.keys { words.append("\(keys) keys in Redis") }
        if let rows = outcome.rows { words.append("\(rows) memories in Milvus") }
        if let file = outcome.file { words.append(file ? "the embedded file" : "no embedded file was there") }
        return "forgotten: " + words.joined(separator: ", ")
    }
}

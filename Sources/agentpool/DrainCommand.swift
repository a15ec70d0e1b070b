/// `agentpool drain`: what a pod's preStop hook executes.
import ArgumentParser
import Foundation
import Logging
import PoolAPI
import Transport

struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain", abstract: "Drain the worker of this pod and return when it is done.",
        discussion:
            "New turns are refused after drain.delay, running ones finish. Exits with 0 once nothing runs any more."
    )

    @Option(help: "The worker's admin port.")
    var adminPort = WorkerPort.admin

    @Option(help: "Seconds to wait for the end of the drain.")
    var timeout = 3600

    func run() async throws {
        LogOutput.bootstrap(level: .warning)
        let client = HTTPClient(logger: Logger(label: "agentpool"))
        let wait = Duration.seconds(timeout)
        var request = HTTPRequest(method: "POST", url: "http://127.0.0.1:\(adminPort)/drain", body: [])
        request.idleTimeout = wait
        request.totalTimeout = wait
        let failure: String?
        do {
            let response = try await client.execute(request)
            _ = try await response.body.collect(upTo: 64 * 1024)
            failure = response.status == 200 ? nil : "the worker answered \(response.status)"
        } catch {
            failure = "\(error)"
        }
        await client.shutdown()
        if let failure {
            FileHandle.standardError.write(
                Data("agentpool: the drain over admin port \(adminPort) failed: \(failure)\n".utf8))
            throw ExitCode.failure
        }
    }
}

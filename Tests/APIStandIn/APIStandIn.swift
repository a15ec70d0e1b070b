/// The stand-in for an API server as a program of its own, for tests that kill and stop controllers: `--kubeconfigs DIR` gets a file for
/// each user, whose name the audit log has. It ends when its standard input does.
import ArgumentParser
import ClusterSupport
import Foundation

@main
struct APIStandIn: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "agentpool-api-stand-in")

    @Option(help: "0: one that is free.") var port = 0
    @Option(help: "The folder for admin.kubeconfig and those of the users.") var kubeconfigs: String
    @Option(help: "Further users.") var users = 2

    func run() async throws {
        let server = try await StandInServer(port: port)
        let names = ["admin"] + (0..<users).map { "user-\($0 + 1)" }
        for name in names {
            try server.kubeconfig(token: name)
                .write(toFile: "\(kubeconfigs)/\(name).kubeconfig", atomically: true, encoding: .utf8)
        }
        FileHandle.standardOutput.write(Data("\(server.url)\n".utf8))
        await withCheckedContinuation { continuation in
            // On a thread of its own: it waits until the program is to end.
            DispatchQueue.global().async {
                while !FileHandle.standardInput.availableData.isEmpty {}
                continuation.resume()
            }
        }
        try await server.shutdown()
    }
}

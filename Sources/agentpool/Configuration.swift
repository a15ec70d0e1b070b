/// Reads the files that commands are given, and says which file, field and mend where one won't do.
import ArgumentParser
import Foundation
import PoolAPI

enum Configuration {
    static let wrong = ExitCode(2)

    /// One AgentPool, and the Secrets and ConfigMaps beside it; without a path the pool that needs no manifest.
    ///
    /// - Parameter place: where the pool is to be served.
    static func manifest(
        _ path: String?, namespace: String? = nil, servedIn place: ServingPlace = .machine
    ) throws -> (AgentPool, secrets: [String: [String: String]], configMaps: [String: [String: String]]) {
        let text = try path.map(read) ?? defaultPool
        let manifest: ManifestFile
        do {
            manifest = try ManifestFile.parse(yaml: text, file: path, namespace: namespace, servedIn: place)
        } catch {
            throw failure(error.description)
        }
        guard let pool = manifest.pools.first, manifest.pools.count == 1 else {
            throw failure(
                "\(path ?? "manifest"): holds \(manifest.pools.count) AgentPool documents; give a file with exactly one"
            )
        }
        return (pool, manifest.secrets, manifest.configMaps)
    }

    static func worker(_ path: String) throws -> WorkerConfig {
        let text = try read(path)
        do {
            return try WorkerConfig.decode(text, file: path)
        } catch {
            throw failure(error.description)
        }
    }

    /// Stops where the specification asks for what this build can't serve.
    static func refuse(_ problems: [ManifestError.Problem], file: String?) throws {
        guard !problems.isEmpty else { return }
        throw failure(
            problems.map { problem in
                var problem = problem
                problem.file = file
                return problem.description
            }.joined(separator: "\n"))
    }

    static func isLoopback(_ host: String) -> Bool {
        host.hasPrefix("127.") || host == "::1" || host == "localhost"
    }

    static func failure(_ message: String) -> ExitCode {
        FileHandle.standardError.write(Data(("agentpool: " + message + "\n").utf8))
        return wrong
    }

    private static func read(_ path: String) throws -> String {
        if path == "-" {
            return String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
        }
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw failure("\(path): can't be read; give a readable YAML file (\(error.localizedDescription))")
        }
    }

    private static let defaultPool = """
        apiVersion: agentpool.dev/v1alpha1
        kind: AgentPool
        metadata: {name: default}
        spec:
          agents:
            - {name: assistant, instructions: You are a helpful assistant that remembers.}
          auth: {mode: None}
        """
}

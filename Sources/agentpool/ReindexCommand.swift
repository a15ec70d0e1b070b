/// `agentpool reindex`: rebuilds a pool's vectors for another embedding model.
import ArgumentParser
import Foundation
import Logging
import PoolAPI
import Worker

struct ReindexCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reindex",
        abstract: "Rebuild the vectors of a pool's memories for another embedding model.",
        discussion: """
            With Milvus: put the new embedding model and a new collection into the manifest, and name the old collection by \
            --from. Run it before the pool is changed, and once more after its roll-out, for what was archived in between; \
            rows are written under their ids, so nothing doubles. With the embedded stores: stop the worker, change the \
            model, run it; the file is rebuilt in place.
            """)

    @Option(name: [.customShort("f"), .customLong("file")], help: "The manifest; - reads standard input.")
    var file: String

    @Option(help: "The collection that holds the memories now.")
    var from: String?

    @Option(help: "Where the embedded stores keep their file. Default: .agentpool/NAME-OF-THE-POOL.")
    var data: String?

    func run() async throws {
        LogOutput.bootstrap(level: .warning)
        let (pool, secrets, _) = try Configuration.manifest(file)
        let reindex = Reindex(
            pool.spec, dataDirectory: data ?? ".agentpool/\(pool.metadata.name)",
            secrets: SecretStore(.values(secrets)), logger: Logger(label: "agentpool"))
        do {
            let count = try await reindex.run(from: from) { count in
                FileHandle.standardError.write(Data("\r\(count) memories".utf8))
            }
            FileHandle.standardError.write(Data("\r".utf8))
            print("\(count) memories have vectors of \(pool.spec.memory.embeddingModel)")
        } catch let error as WorkerStartError {
            throw Configuration.failure("\(error)")
        } catch {
            FileHandle.standardError.write(Data("agentpool: reindex stopped: \(error)\n".utf8))
            throw ExitCode.failure
        }
    }
}

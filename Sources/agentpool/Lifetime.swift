/// A server's life in this process: the first signal is a graceful shutdown, a second one hurries it, a failed start is an exit code
/// with its reason.
import ArgumentParser
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals
import Worker

enum Lifetime {
    /// - Parameter onSecondSignal: somebody does not want to wait for the shutdown that the first signal began.
    static func run(
        _ service: some Service, _ logger: Logger, onSecondSignal: @escaping @Sendable () -> Void = {}
    ) async throws {
        var quiet = logger
        quiet.logLevel = .warning
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
                logger: quiet))
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await group.run() }
                tasks.addTask {
                    var isFirst = true
                    for await _ in signals {
                        if isFirst { await group.triggerGracefulShutdown() } else { onSecondSignal() }
                        isFirst = false
                    }
                }
                defer { tasks.cancelAll() }
                try await tasks.next()
            }
        } catch let cut as DrainCut {
            FileHandle.standardError.write(Data("agentpool: \(cut)\n".utf8))
            throw ExitCode.failure
        } catch {
            throw Configuration.failure("\(error)")
        }
    }
}

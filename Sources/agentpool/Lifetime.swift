/// A server's life in this process: signals become a graceful shutdown, a failed start an exit code with its reason.
import ArgumentParser
import Logging
import ServiceLifecycle

enum Lifetime {
    static func run(_ service: some Service, _ logger: Logger) async throws {
        var quiet = logger
        quiet.logLevel = .warning
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        do {
            try await group.run()
        } catch {
            throw Configuration.failure("\(error)")
        }
    }
}

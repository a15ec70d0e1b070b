/// A worker whose specification asks for what this version can't serve: it stands unready and says why, and takes no turn.
import Logging
import NIOHTTP1
import NIOPosix
import PoolAPI
import ServiceLifecycle

/// In a pod an exit would be a crash loop, whose reason is soon gone; this one is alive, and its reason is at `/readyz`. Until the
/// specification is changed the pods of the one before go on serving.
public struct UnservedWorker: Service {
    private let problems: [ManifestError.Problem]
    private let settings: WorkerSettings
    private let logger: Logger
    private let onReady: @Sendable (_ adminPort: Int) -> Void

    /// - Parameters:
    ///   - problems: the fields, each with its mend.
    ///   - settings: of these the admin port counts; the public port stays closed.
    ///   - onReady: called with the admin port, once it accepts.
    public init(
        problems: [ManifestError.Problem], settings: WorkerSettings, logger: Logger,
        onReady: @escaping @Sendable (_ adminPort: Int) -> Void = { _ in }
    ) {
        self.problems = problems
        self.settings = settings
        self.logger = logger
        self.onReady = onReady
    }

    /// Returns after a graceful shutdown.
    ///
    /// - Throws: where the admin port can't be had.
    public func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let port = try await HTTPListener.bind(
                .init(host: settings.adminHost, port: settings.adminPort, maxConnections: 256), group: group)
            logger.error(
                "this version can't serve the pool: nothing is served until its specification is changed",
                metadata: ["fields": "\(reasons.joined(separator: ". "))"])
            onReady(port.port)
            await serve(port)
        } catch {
            // The first error is the one to tell.
            try? await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    private var reasons: [String] { problems.map(\.description) }

    private func serve(_ port: HTTPListener) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await port.serve { handle($0, port) } }
            tasks.addTask {
                // Cancellation means the same as the signal: go.
                try? await gracefulShutdown()
                await port.stopAccepting()
            }
        }
        await port.connectionsClosed(within: .seconds(1))
    }

    private func handle(_ request: ServerRequest, _ port: HTTPListener) {
        let exchange = request.exchange
        switch (request.head.method, request.head.uri.prefix { $0 != "?" }) {
        case (.GET, "/livez"): exchange.respond(AdminAPI.liveness(port))
        case (.GET, "/startupz"): exchange.respond(AdminAPI.status(.ok, "ok"))
        case (.GET, "/readyz"):
            exchange.respond(AdminAPI.status(.serviceUnavailable, "unsupported", reasons))
        case (.GET, "/metrics"):
            var page = PrometheusText()
            page.gauge("agentpool_ready", "1 while this worker is ready.", 0)
            exchange.respond(
                Response(.ok, type: AdminAPI.metricsType, body: Array(page.text.utf8)))
        // It has no turns that could be waited for.
        case (.POST, "/drain"): exchange.respond(AdminAPI.status(.ok, "drained"))
        default: exchange.respond(AdminAPI.unknown)
        }
    }
}

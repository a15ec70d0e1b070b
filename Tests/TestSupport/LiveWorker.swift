/// A whole worker on free ports and a fresh folder, for tests that talk to it as clients do.
import Foundation
import Logging
import Memory
import PoolAPI
import ServiceLifecycle
import Transport
import Worker

public struct LiveWorker: Sendable {
    public let url: String
    public let adminURL: String
    /// Of the port for the pool's other workers; nil where there are none.
    public let peerURL: String?
    /// What a second signal does.
    public let hurry: @Sendable () -> Void
    public let client: HTTPClient

    /// An open pool whose recall leaves nothing out for being late, however slow the machine that tests it.
    public static let patientSpec = """
        {agents: [{name: assistant, instructions: Help.}], auth: {mode: None},
         memory: {recall: {deadline: 30s, embeddingDeadline: 30s}}}
        """

    /// Runs a worker while `body` does; then drains it.
    ///
    /// - Parameters:
    ///   - spec: the manifest's `spec` as YAML.
    ///   - directory: the stores' folder; pass the same one twice to restart a worker.
    public static func run<Result: Sendable>(
        spec: String = patientSpec,
        secrets: [String: [String: String]] = [:], directory: TemporaryDirectory = TemporaryDirectory(),
        adjust: (inout WorkerSettings) -> Void = { _ in },
        _ body: @Sendable (LiveWorker) async throws -> Result
    ) async throws -> Result {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let config = WorkerConfig(
            pool: PoolReference(namespace: "default", name: "test"), spec: try AgentPoolSpec.parse(yaml: spec)
        )
        var settings = WorkerSettings(dataDirectory: directory.path, podName: "test-pod")
        settings.port = 0
        settings.adminPort = 0
        settings.advertisedPeerHost = "127.0.0.1"
        adjust(&settings)
        let (addresses, ready) = AsyncStream.makeStream(of: WorkerAddresses.self)
        let worker = AgentWorker(
            config: config, settings: settings, secrets: SecretStore(.values(secrets)), logger: logger,
            onReady: {
                ready.yield($0)
                ready.finish()
            })
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: worker, successTerminationBehavior: .gracefullyShutdownGroup)],
                logger: logger))
        let client = HTTPClient(logger: logger)
        let result = try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { ready.finish() }
                // A test that hurries a worker knows that it cuts its turns.
                do { try await group.run() } catch is DrainCut {}
            }
            guard let bound = await addresses.first(where: { _ in true }) else {
                try await tasks.waitForAll()
                throw CancellationError()
            }
            let live = LiveWorker(
                url: "http://127.0.0.1:\(bound.port)", adminURL: "http://127.0.0.1:\(bound.adminPort)",
                peerURL: bound.peerPort.map { "http://127.0.0.1:\($0)" }, hurry: { worker.hurry() },
                client: client)
            do {
                let result = try await body(live)
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
                return result
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
        }
        await client.shutdown()
        return result
    }

    /// One request, its body read to the end.
    public func send(
        _ method: String, _ path: String, _ body: String? = nil,
        headers: [(name: String, value: String)] = [],
        admin: Bool = false
    ) async throws -> (status: Int, headers: HTTPHeaders, body: String) {
        var request = HTTPRequest(
            method: method, url: (admin ? adminURL : url) + path, body: body.map { Array($0.utf8) })
        request.headers = [(name: "Content-Type", value: "application/json")] + headers
        let response = try await client.execute(request)
        let bytes = try await response.body.collect(upTo: 16 << 20)
        return (response.status, response.headers, String(decoding: bytes, as: UTF8.self))
    }

    /// One chat turn, whole.
    public func chat(
        _ text: String, session: String, user: String? = "u", headers: [(name: String, value: String)] = []
    ) async throws -> (status: Int, headers: HTTPHeaders, body: String) {
        let encoded = String(decoding: try JSONEncoder().encode(text), as: UTF8.self)
        var fields = headers + [(name: "X-Session-Id", value: session)]
        if let user { fields.append((name: "X-AgentPool-User", value: user)) }
        return try await send(
            "POST", "/v1/chat/completions",
            #"{"model":"assistant","messages":[{"role":"user","content":\#(encoded)}]}"#, headers: fields)
    }
}

/// A folder that goes when the last reference does.
public final class TemporaryDirectory: Sendable {
    public let path: String

    public init() {
        path = FileManager.default.temporaryDirectory.path + "/agentpool-test-" + UUID().uuidString
    }

    deinit {
        // A folder that was never made, or is gone, needs no removing.
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// The client: makes calls under their deadlines, repeats what may pass later, and opens collections.
import Foundation
import GRPCCore
import GRPCProtobuf
import Logging
import SwiftProtobuf

/// Any number of tasks may use it at once. `run` must be running; every call obeys cancellation promptly.
public final class MilvusClient: Sendable {
    let configuration: MilvusConfiguration
    let logger: Logger
    private let connections: Connections
    private let limiter: CallLimiter

    /// Connects to nothing yet. Throws where the TLS files can't be used.
    public init(_ configuration: MilvusConfiguration, logger: Logger) throws {
        self.configuration = configuration
        self.logger = logger
        connections = try Connections(configuration, logger: logger)
        limiter = CallLimiter(
            limit: configuration.maxConcurrentCalls, queue: configuration.maxConcurrentCalls * 8)
    }

    /// Runs the connections. Returns after `close`, when the calls under way have ended, or when cancelled.
    public func run() async throws {
        await connections.run()
    }

    /// Refuses calls from here on; those under way go on to their end, while `run` is left running.
    public func close() async {
        connections.close()
    }

    /// What the server says it is. The cheapest question there is.
    public func version() async throws(MilvusError) -> String {
        try await call(.version, Wire.Version(), within: configuration.readDeadline).version
    }

    /// Deletes a collection with all rows of everybody. Passes also where it isn't there.
    public func drop(_ name: String) async throws(MilvusError) {
        var request = Wire.Drop()
        request.collectionName = name
        do {
            _ = try await call(.drop, request, within: configuration.writeDeadline)
        } catch  where error.kind == .rejected(Failure.Code.collectionNotFound) {
            return
        }
    }

    /// Makes one call and repeats it while that may help and time is left.
    func call<Request, Reply>(
        _ call: MilvusCall<Request, Reply>, _ request: Request, within deadline: Duration
    ) async throws(MilvusError) -> Reply {
        let end = ContinuousClock.now + deadline
        do {
            try await limiter.acquire(deadline: deadline)
        } catch {
            throw switch error {
            case .full: failure(.overloaded, call.name, "too many calls are waiting already")
            case .cancelled: failure(.cancelled, call.name, "the task was cancelled")
            case .deadline: failure(.deadline, call.name, "other calls took all the time")
            }
        }
        defer { limiter.release() }
        var rule = RetryRule()
        while true {
            let failed: Failure
            switch await attempt(call, request, end: end) {
            case .success(let reply): return reply
            case .failure(let failure): failed = failure.reason
            }
            if Task.isCancelled { throw failure(.cancelled, call.name, "the task was cancelled") }
            let remaining = end - .now
            let wait = rule.failed(failed.hope, remaining: remaining, jitter: .random(in: 0..<1))
            guard let wait else { throw failure(failed.kind, call.name, failed.message) }
            do {
                try await Task.sleep(for: wait)
            } catch {
                throw failure(.cancelled, call.name, "the task was cancelled")
            }
        }
    }

    private struct Attempt: Error {
        var reason: Failure
    }

    private func attempt<Request, Reply>(
        _ call: MilvusCall<Request, Reply>, _ request: Request, end: ContinuousClock.Instant
    ) async -> Result<Reply, Attempt> {
        guard let connection = connections.beginCall() else {
            let reason = Failure(kind: .unavailable, message: "the client was closed", hope: .none)
            return .failure(Attempt(reason: reason))
        }
        defer { connection.callEnded() }
        let begun = ContinuousClock.now
        var options = CallOptions.defaults
        options.timeout = max(end - begun, .milliseconds(1))
        // The bound on what is received too; the largest answers are pages of texts.
        options.maxRequestMessageBytes = 64 << 20
        options.maxResponseMessageBytes = 64 << 20
        do {
            let reply = try await connection.client.unary(
                request: ClientRequest(message: request, metadata: metadata()), descriptor: call.descriptor,
                serializer: ProtobufSerializer<Request>(), deserializer: ProtobufDeserializer<Reply>(),
                options: options
            ) { try $0.message }
            connections.answered(on: connection.generation)
            if let failure = Failure(reply.status, showsReason: call.showsReason) {
                return .failure(Attempt(reason: failure))
            }
            return .success(reply)
        } catch {
            if Task.isCancelled || ContinuousClock.now >= end {
                connections.unanswered(begun: begun, on: connection.generation)
                let reason = Failure(kind: .deadline, message: "no answer in time", hope: .none)
                return .failure(Attempt(reason: reason))
            }
            connections.answered(on: connection.generation)
            return .failure(Attempt(reason: Failure(error)))
        }
    }

    private func metadata() -> Metadata {
        var metadata = Metadata()
        if let database = configuration.database { metadata.addString(database, forKey: "dbname") }
        switch configuration.credentials() {
        case .password(let user, let password):
            metadata.addString(
                Data("\(user):\(password)".utf8).base64EncodedString(), forKey: "authorization")
        case .token(let token):
            metadata.addString(Data(token.utf8).base64EncodedString(), forKey: "authorization")
        case nil: break
        }
        return metadata
    }

    func failure(_ kind: MilvusError.Kind, _ operation: String, _ message: String) -> MilvusError {
        MilvusError(kind, server: configuration.server, operation: operation, message)
    }
}

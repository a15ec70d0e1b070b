/// Hands a request to the worker that has its session, and passes the answer on as it comes.
import Agent
import Logging
import Memory
import NIOCore
import NIOHTTP1
import Synchronization
import Transport

struct PeerRelay: Sendable {
    /// What came of it.
    enum Outcome: Sendable {
        /// The client has an answer, or the beginning of one and its honest end.
        case answered
        /// The other worker was not reached, or would not take it: nothing of the request was done.
        case notTaken
        /// Nothing of an answer has come, but the request may have been begun.
        case unanswered(TransportError)
    }

    /// What is passed on of a request's fields.
    private static let requestFields: Set<String> = [
        "accept", "content-type", "cookie", "idempotency-key", "last-event-id", "sec-fetch-site",
        "x-agentpool-user", "x-session-id", "x-stainless-retry-count",
    ]
    /// What is not passed on of an answer's: the connection's own.
    private static let connectionFields: Set<String> = [
        "connection", "content-length", "date", "keep-alive", "transfer-encoding",
    ]
    /// A worker says something on a stream far more often than that.
    private static let silence: Duration = .seconds(60)
    /// A whole answer's bytes, at most.
    private static let maxBytes = 16 << 20

    let peers: Peers
    let http: HTTPClient
    let drain: Drain
    let metrics: RelayMetrics
    /// How long an answer may take that comes in one piece: a turn, and those before it in its session's line.
    let wholeReplyTimeout: Duration
    let now: @Sendable () -> Int64

    /// A client for relayed requests alone: each long-lived stream of another worker's session takes a connection.
    static func client(connections: Int, _ logger: Logger) -> HTTPClient {
        var configuration = HTTPClient.Configuration()
        configuration.maxConnectionsPerHost = connections
        configuration.maxTotalConnections = connections
        configuration.maxRequests = connections
        configuration.connectTimeout = .seconds(1)
        // Pods are in the cluster's own network.
        configuration.proxies = ProxySettings(http: nil, https: nil)
        return HTTPClient(configuration: configuration, logger: logger)
    }

    /// - Parameters:
    ///   - session: the session that the request is for, where its fields don't say it.
    ///   - isStreamed: something of the answer comes all the time, if only a comment; else nothing before the turn's end.
    func forward(
        _ request: ServerRequest, _ caller: Credentials.Caller, session: SessionID?, to worker: String,
        isStreamed: Bool = true
    ) async -> Outcome {
        guard let address = peers.address(of: worker) else { return .notTaken }
        var headers = request.head.headers
            .map { (name: $0.name.lowercased(), value: $0.value) }
            .filter { Self.requestFields.contains($0.name) }
        if let session {
            headers.removeAll { $0.name == "x-session-id" }
            headers.append((name: "x-session-id", value: session.value))
        }
        let body = Array(request.body.readableBytesView)
        let method = request.head.method.rawValue
        headers += PeerSignature.fields(
            for: worker, caller: caller, method: method, uri: request.head.uri, headers: headers, body: body,
            now: now(), key: peers.key)
        let isLong = request.head.method == .GET
        let call = HTTPRequest(
            method: method, url: "http://\(address)\(request.head.uri)", headers: headers,
            body: isLong ? nil : body, connectTimeout: .seconds(1),
            idleTimeout: isStreamed ? Self.silence : wholeReplyTimeout)
        return await withTaskGroup(of: Event.self) { race in
            race.addTask { .carried(await carry(call, request)) }
            race.addTask {
                await request.exchange.clientLeft()
                return .left
            }
            if isLong { race.addTask { await tellToReconnect(request.exchange) } }
            // The first to end ends the others.
            let first = await race.next()
            race.cancelAll()
            if case .carried(let outcome?) = first { return outcome }
            if case .told = first { return .answered }
            // At the worker's end every client counts as gone, and is still to be told.
            if drain.cut.isSet {
                await race.waitForAll()
                end(request.exchange, .workerEnded, StreamDialect(target: request.head.uri))
            }
            return .answered
        }
    }

    /// What may end a relayed request.
    private enum Event: Sendable {
        /// Nil: it was cancelled.
        case carried(Outcome?)
        case left
        case told
    }

    private func carry(_ call: HTTPRequest, _ request: ServerRequest) async -> Outcome? {
        let exchange = request.exchange
        let response: HTTPResponse
        do {
            response = try await http.execute(call)
        } catch {
            metrics.failed()
            switch error.kind {
            case .connect, .resolve, .overloaded, .timeout(.connect), .invalidRequest: return .notTaken
            case .cancelled: return nil
            default: return .unanswered(error)
            }
        }
        guard response.status != HTTPResponseStatus.misdirectedRequest.code else {
            response.body.cancel()
            metrics.failed()
            return .notTaken
        }
        metrics.relayed()
        let head = ResponseHead(
            HTTPResponseStatus(statusCode: response.status),
            response.headers.filter { !Self.connectionFields.contains($0.name.lowercased()) }
                .map { (name: $0.name, value: $0.value) })
        do {
            if response.headers["content-type"]?.hasPrefix("text/event-stream") == true {
                try await stream(
                    response.body, head, exchange, StreamDialect(target: request.head.uri))
            } else {
                let body = try await response.body.collect(upTo: Self.maxBytes)
                var whole = Response(head.status, body: body)
                whole.head = head
                exchange.respond(whole)
            }
        } catch let error as TransportError where error.kind != .cancelled {
            exchange.respond(APIError.workerLost.response)
        } catch {
            // The client is gone, or was given up.
            return nil
        }
        return .answered
    }

    private func stream(
        _ body: HTTPBody, _ head: ResponseHead, _ exchange: Exchange, _ dialect: StreamDialect
    ) async throws {
        exchange.openStream(head, heartbeat: ChatStreamEncoder.heartbeat)
        do {
            for try await bytes in body {
                var buffer = ByteBufferAllocator().buffer(capacity: bytes.count + 16)
                buffer.writeFramed(exchange.streamFraming) { $0.writeBytes(bytes) }
                try await exchange.send(buffer)
            }
            exchange.finish()
        } catch let error as TransportError where error.kind != .cancelled {
            metrics.failed()
            end(exchange, .workerLost, dialect)
        }
    }

    /// Ends an answer that can't come to its own end, and has not.
    private func end(_ exchange: Exchange, _ error: APIError, _ dialect: StreamDialect) {
        exchange.respond(error.response, lateBytes: framed(dialect.cut(error), exchange))
    }

    /// A stream that only follows a session does not hold up this worker's end.
    private func tellToReconnect(_ exchange: Exchange) async -> Event {
        await drain.finishing.wait()
        // Throws where the stream has ended before.
        guard drain.finishing.isSet,
            (try? await Task.sleep(for: .milliseconds(Int.random(in: 0...2000)))) != nil
        else { return .left }
        let last = NativeEventEncoder.reconnect(after: .milliseconds(Int.random(in: 100...2000)))
        // The other worker may not have answered yet.
        var alone = Response(.ok, body: Array(last.readableBytesView))
        alone.head = .eventStream([])
        exchange.respond(alone, lateBytes: framed(last, exchange))
        return .told
    }

    /// A last event behind what another worker has sent: of that the last event may be there in part, and must not swallow this one.
    private func framed(_ event: ByteBuffer, _ exchange: Exchange) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: event.readableBytes + 16)
        buffer.writeFramed(exchange.streamFraming) { buffer in
            buffer.writeStaticString("\n\n")
            var event = event
            buffer.writeBuffer(&event)
        }
        return buffer
    }
}

/// How many requests went to other workers.
final class RelayMetrics: Sendable {
    private let counts = Mutex((relayed: 0, failed: 0))

    var snapshot: (relayed: Int, failed: Int) { counts.withLock { $0 } }
    func relayed() { counts.withLock { $0.relayed += 1 } }
    func failed() { counts.withLock { $0.failed += 1 } }
}

extension APIError {
    static let workerLost = APIError(
        .badGateway, type: "server_error", code: "worker_lost",
        "The worker that ran this turn is gone; send the turn again under its id, or resume it by Last-Event-ID.",
        retryAfter: 1)

    /// The drain's time was over before the turn was.
    static let workerEnded = APIError(
        .serviceUnavailable, type: "server_error", code: "worker_ended",
        "This worker had to end before the turn did; send the turn again under its id, or resume it by Last-Event-ID.",
        retryAfter: 1)
}

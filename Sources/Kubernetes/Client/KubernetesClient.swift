// Sends calls to a cluster's API: paces them, shows who we are, and turns every way to fail into one error.

import Foundation
import Logging
import Synchronization
import Transport

/// A client of one cluster's API. Safe to use from any task; sends each call once, and repeats none.
public final class KubernetesClient: Sendable {
    /// The most bytes of one answer that isn't a watch.
    public static let maxAnswerBytes = 32 << 20

    public let metrics: ClientMetrics
    /// The access's: what commands are about where they name no namespace.
    public let namespace: String
    let logger: Logger
    private let server: String
    private let http: HTTPClient
    private let credential: Credential
    private let bucket: Mutex<TokenBucket>

    public init(
        access: ClusterAccess, limits: RequestLimits = .standard, logger: Logger,
        metrics: ClientMetrics = ClientMetrics()
    ) {
        self.metrics = metrics
        self.logger = logger
        namespace = access.namespace
        server = access.server
        credential = Credential(access.token)
        bucket = Mutex(TokenBucket(limits, now: .now))
        http = HTTPClient(configuration: Self.configuration(access), logger: logger)
    }

    /// Ends every call that is under way, and every later one; returns when the connections are closed.
    public func shutdown() async {
        await http.shutdown()
    }

    /// The answer's body.
    ///
    /// - Parameter leadership: for a write that only the leader may make. It isn't begun without the lease, is asked
    ///   about again right before its first byte is sent, and may take no longer than the lease is good for.
    public func bytes(
        _ request: APIRequest, under leadership: Leadership? = nil
    ) async throws(APIError) -> [UInt8] {
        try await answer(to: request, under: leadership, isPaced: true)
    }

    public func decoded<Value: Decodable>(
        _ request: APIRequest, as type: Value.Type = Value.self, under leadership: Leadership? = nil
    ) async throws(APIError) -> Value {
        try Self.decode(try await bytes(request, under: leadership), as: type)
    }

    /// An object read by `read`, for what `Decodable` is too slow or too narrow for.
    public func object<Object>(
        _ request: APIRequest, under leadership: Leadership? = nil, read: (JSONSlice) throws -> Object
    ) async throws(APIError) -> Object {
        let answer = JSONSlice(try await bytes(request, under: leadership))
        do { return try read(answer) } catch { throw .undecodable(Object.self) }
    }

    /// One page of a list, its items not yet decoded.
    public func page(_ request: APIRequest) async throws(APIError) -> ListPage {
        guard let page = ListPage(try await bytes(request)) else {
            throw APIError(status: 0, reason: APIError.Unanswered.malformed, message: "the answer is no list")
        }
        return page
    }

    /// The items of a whole list, decoded page by page, so that only one page is held undecoded.
    public func all<Item: Decodable>(
        _ kind: ResourceKind, in namespace: String?, labels: String? = nil, metadataOnly: Bool = false,
        as type: Item.Type = Item.self
    ) async throws(APIError) -> [Item] {
        var items: [Item] = []
        var continuation: String?
        repeat {
            let page = try await page(
                .list(
                    kind, in: namespace, labels: labels, limit: 500, continuation: continuation,
                    metadataOnly: metadataOnly))
            let decoder = JSONDecoder()
            for item in page.items {
                do { items.append(try item.decoded(as: type, by: decoder)) } catch {
                    throw .undecodable(type)
                }
            }
            continuation = page.continuation
        } while continuation != nil
        return items
    }

    /// Opens a watch; returns once the server has said yes.
    func watch(_ request: APIRequest) async throws(APIError) -> WatchStream {
        WatchStream(body: try await open(request, under: nil, isPaced: true).body)
    }

    /// For the lease, which may not wait behind the requests of what it is held for.
    func unpaced(_ request: APIRequest) async throws(APIError) -> [UInt8] {
        try await answer(to: request, under: nil, isPaced: false)
    }

    static func decode<Value: Decodable>(_ bytes: [UInt8], as type: Value.Type) throws(APIError) -> Value {
        do { return try JSONDecoder().decode(type, from: Data(bytes)) } catch { throw .undecodable(type) }
    }
}

extension KubernetesClient {
    private func answer(
        to request: APIRequest, under leadership: Leadership?, isPaced: Bool
    ) async throws(APIError) -> [UInt8] {
        let response = try await open(request, under: leadership, isPaced: isPaced)
        do { return try await response.body.collect(upTo: Self.maxAnswerBytes) } catch {
            throw APIError(error)
        }
    }

    /// Sends the request and returns at the head of an answer that says yes.
    private func open(
        _ request: APIRequest, under leadership: Leadership?, isPaced: Bool
    ) async throws(APIError) -> HTTPResponse {
        let response: HTTPResponse
        do {
            response = try await send(request, under: leadership, isPaced: isPaced)
        } catch {
            metrics.count(request.method, 0)
            throw error
        }
        metrics.count(request.method, response.status)
        guard !(200..<300).contains(response.status) else { return response }
        if response.status == 401 { credential.wasRefused() }
        // The status says enough where the body can't be read.
        let body = (try? await response.body.collect(upTo: 1 << 20)) ?? []
        throw APIError(status: response.status, body: body, retryAfter: response.headers["Retry-After"])
    }

    private func send(
        _ request: APIRequest, under leadership: Leadership?, isPaced: Bool
    ) async throws(APIError) -> HTTPResponse {
        let begun = ContinuousClock.now
        var deadline = begun + request.timeout
        if let leadership { deadline = min(deadline, begun + leadership.remaining(at: begun)) }
        if isPaced { try await waitForTurn(until: deadline) }
        let headers = try self.headers(of: request)
        let now = ContinuousClock.now
        guard now < deadline else { throw .late(leadership, at: now) }
        var message = HTTPRequest(
            method: request.method, url: server + request.target, headers: headers, body: request.body,
            idleTimeout: request.idleTimeout ?? request.timeout, totalTimeout: deadline - now)
        if let leadership { message.mayBeSent = { leadership.isHeld() } }
        do { return try await http.execute(message) } catch { throw APIError(error) }
    }

    private func waitForTurn(until deadline: ContinuousClock.Instant) async throws(APIError) {
        let now = ContinuousClock.now
        guard let wait = bucket.withLock({ $0.take(at: now, patience: deadline - now) }) else {
            throw APIError(
                status: 0, reason: APIError.Unanswered.throttled,
                message: "more requests wait for the client's own rate limit than it may send in time")
        }
        guard wait > .zero else { return }
        do {
            try await Task.sleep(until: now + wait, clock: .continuous)
        } catch {
            bucket.withLock { $0.putBack() }
            throw APIError(
                status: 0, reason: APIError.Unanswered.cancelled, message: "the request was cancelled")
        }
    }

    private func headers(of request: APIRequest) throws(APIError) -> [(name: String, value: String)] {
        var headers = [(name: "Accept", value: request.accept), (name: "User-Agent", value: "agentpool")]
        if let type = request.contentType { headers.append(("Content-Type", type)) }
        do {
            if let token = try credential.token(at: .now) {
                headers.append(("Authorization", "Bearer " + token))
            }
        } catch {
            throw APIError(status: 0, reason: APIError.Unanswered.invalidRequest, message: error.message)
        }
        return headers
    }

    private static func configuration(_ access: ClusterAccess) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration()
        configuration.tls = access.tls
        // Each watch holds a connection for itself.
        configuration.maxConnectionsPerHost = 4096
        configuration.maxTotalConnections = 4096
        if let proxy = access.proxy { configuration.proxies = ProxySettings(http: proxy, https: proxy) }
        // The environment's proxies are for the world outside of this machine.
        let exceptions = [configuration.proxies.exceptions, "localhost,127.0.0.1,::1"]
        configuration.proxies.exceptions = exceptions.compactMap(\.self).joined(separator: ",")
        return configuration
    }
}

extension APIError {
    init(_ error: TransportError) {
        let reason =
            switch error.kind {
            case .resolve, .connect, .reset, .overloaded, .slowReader, .shutdown: Unanswered.noAnswer
            case .tls: Unanswered.tls
            case .timeout: Unanswered.timeout
            case .malformedResponse: Unanswered.malformed
            case .tooLarge: Unanswered.tooLarge
            case .invalidRequest: Unanswered.invalidRequest
            case .withheld: Unanswered.notLeading
            case .cancelled: Unanswered.cancelled
            }
        self.init(status: 0, reason: reason, message: error.message)
    }

    fileprivate static func undecodable(_ type: any Any.Type) -> APIError {
        APIError(status: 0, reason: Unanswered.malformed, message: "the answer can't be read as \(type)")
    }

    /// The time was up before anything was sent.
    fileprivate static func late(_ leadership: Leadership?, at now: ContinuousClock.Instant) -> APIError {
        if let leadership, leadership.remaining(at: now) == .zero {
            return APIError(
                status: 0, reason: Unanswered.notLeading,
                message: "this process doesn't hold the lease any more")
        }
        return APIError(
            status: 0, reason: Unanswered.timeout, message: "the request's time was up before it was sent")
    }
}

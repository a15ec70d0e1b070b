// The client's surface: bounds the requests that run at one time and starts the thread that serves them.

import CCurl
import Logging

/// An HTTP client over libcurl whose connections are owned by one thread.
///
/// Safe to use from any task. Connections are kept and reused; TLS peers are verified unless the settings say otherwise; redirects are not followed.
/// Dropping the client ends its thread, but only ``shutdown()`` says when that has happened.
public final class HTTPClient: Sendable {
    public struct Configuration: Sendable {
        /// Name resolution, connection and TLS handshake together.
        public var connectTimeout: Duration = .seconds(10)
        /// How long a response may bring no byte, its head included. Time spent waiting for a free connection counts;
        /// time in which the reader is behind doesn't.
        public var idleTimeout: Duration = .seconds(60)
        /// How long the reader of an HTTP/2 body may hold its origin's other streams back before its own fails.
        public var slowReaderTimeout: Duration = .seconds(5)
        /// Requests over this number wait for a connection.
        public var maxConnectionsPerHost = 256
        public var maxHTTP2ConnectionsPerHost = 4
        /// HTTP/1.1 connections to all hosts; HTTP/2 connections are counted for each origin.
        public var maxTotalConnections = 1024
        /// HTTP/2 streams on one connection; a server may allow fewer.
        public var maxStreamsPerConnection = 1000
        /// Requests at one time, waiting ones included; more are refused with `.overloaded`.
        public var maxRequests = 8192
        /// A response head's bytes, trailers included.
        public var maxHeadBytes = 64 * 1024
        /// The most bytes of one response that wait in this process for their reader; at least 128 KiB.
        public var bufferLimit = 256 * 1024
        /// A file of certificate authorities in PEM that replaces the system's.
        public var caFile: String?
        /// Whom `https` servers have to be signed by, and what they are shown.
        public var tls = TLSSettings()
        public var proxies = ProxySettings.environment

        public init() {}
    }

    /// What the client does now, for metrics.
    public struct Statistics: Sendable, Equatable {
        public let runningRequests: Int
        /// The most bytes that waited for any one reader so far, of the bodies that have ended.
        public let mostBytesWaiting: Int
    }

    private let configuration: Configuration
    private let mailbox = Mailbox()
    private let counters: ClientStatistics

    public init(configuration: Configuration = .init(), logger: Logger) {
        precondition(
            configuration.bufferLimit >= 128 * 1024, "libcurl's own buffers need 64 KiB of the limit")
        self.configuration = configuration
        counters = ClientStatistics(maxRequests: configuration.maxRequests)
        CurlThread(mailbox: mailbox, configuration: configuration, statistics: counters, logger: logger)
            .start()
    }

    deinit {
        mailbox.post(.stop)
    }

    /// Sends a request and returns at the response's head, whatever its status.
    ///
    /// A request on a kept connection that the peer closed before it sent a byte is sent once more on a new one.
    public func execute(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
        let target = try RequestTarget(request, serverName: configuration.tls.serverName)
        guard let slot = RequestSlot(counters) else {
            throw TransportError(
                .overloaded,
                "\(configuration.maxRequests) requests are running; none can be made to \(target.name)")
        }
        let exchange = Exchange(
            target: target.name, mailbox: mailbox, bufferLimit: configuration.bufferLimit, slot: slot)
        let head = try await exchange.head(of: request, at: target).get()
        return HTTPResponse(status: head.status, headers: head.headers, body: HTTPBody(exchange))
    }

    /// Sends a request and lets go of its response: nobody waits, and nobody learns what becomes of it. Can be called
    /// where the task was cancelled, to take back what was asked for. Its `totalTimeout` should be short.
    public func send(_ request: HTTPRequest) {
        guard let target = try? RequestTarget(request, serverName: configuration.tls.serverName),
            let slot = RequestSlot(counters)
        else { return }
        Exchange(target: target.name, mailbox: mailbox, bufferLimit: configuration.bufferLimit, slot: slot)
            .send(request, to: target)
    }

    public var statistics: Statistics { counters.snapshot }

    /// Ends the thread; running requests fail with `.shutdown`, and so does every later one. Returns when the
    /// thread has ended its work.
    public func shutdown() async {
        mailbox.post(.stop)
        await mailbox.waitUntilClosed()
    }
}

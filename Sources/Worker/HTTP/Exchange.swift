/// One request and the way to answer it, usable from any task: the only face that a connection shows to routes.
import NIOCore
import NIOHTTP1
import Synchronization

/// A whole request. Bounded by `ConnectionLimits`.
struct ServerRequest: Sendable {
    let head: HTTPRequestHead
    let body: ByteBuffer
    let exchange: Exchange
    /// The client is on this machine.
    let isFromLoopback: Bool
}

/// The client closed its connection, or was closed because it took nothing.
struct ClientLeft: Error {}

/// Answers one request, once: either `respond`, or `openStream`, `send`..., `finish`. Calls after the client has left do nothing.
struct Exchange: Sendable {
    let eventLoop: any EventLoop
    private let handler: NIOLoopBound<ConnectionHandler>
    private let serial: Int
    /// How a stream's body is marked for this client.
    let streamFraming: BodyFraming

    init(
        eventLoop: any EventLoop, handler: NIOLoopBound<ConnectionHandler>, serial: Int, http10: Bool
    ) {
        self.eventLoop = eventLoop
        self.handler = handler
        self.serial = serial
        self.streamFraming = http10 ? .untilClose : .chunked
    }

    /// Sends a whole response; also in the place of a stream of which nothing has been sent.
    ///
    /// - Parameter lateBytes: what ends a stream whose head is on the wire already; without it such a stream is cut.
    func respond(_ response: Response, lateBytes: ByteBuffer? = nil) {
        onLoop { $0.respond(response, lateBytes: lateBytes, $1) }
    }

    /// Declares a stream. Its head goes out with the first bytes, or with the first heartbeat while there are none.
    func openStream(_ head: ResponseHead, heartbeat: String) {
        let framing = streamFraming
        onLoop { $0.openStream(head, heartbeat: heartbeat, framing: framing, $1) }
    }

    /// Sends bytes that are framed already, in one flush; returns when the reader is not too far behind.
    func send(_ bytes: ByteBuffer) async throws(ClientLeft) {
        switch await write(bytes) {
        case .taken: return
        case .gone: throw ClientLeft()
        case .full: await writable()
        }
    }

    /// Sends bytes if the reader keeps up. False where it is behind or gone; the bytes then were not taken.
    func offer(_ bytes: ByteBuffer) async -> Bool {
        guard await isWritable() else { return false }
        if case .gone = await write(bytes) { return false }
        return true
    }

    /// Ends a stream as a whole one.
    func finish() {
        onLoop { $0.endStream($1, abort: false) }
    }

    /// Ends a stream so that the client sees it cut.
    func abort() {
        onLoop { $0.endStream($1, abort: true) }
    }

    /// Returns when the client is gone, the exchange has ended, or the task is cancelled.
    func clientLeft() async {
        let token = Self.waitTokens.add(1, ordering: .relaxed).newValue
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                onLoop { $0.whenLeft(continuation, token: token, $1) }
            }
        } onCancel: {
            onLoop { $0.cancelLeaveWait(token: token, $1) }
        }
    }

    /// Tells waits apart, so that cancelling one can't end another.
    private static let waitTokens = Atomic(0)

    /// Turns the connection into a long-lived event stream. `make` runs on the connection's loop.
    func becomeEventStream(
        _ head: ResponseHead, _ make: @escaping @Sendable (LoopContext) -> EventStreamHandler
    ) {
        onLoop { $0.becomeEventStream(head, $1, make) }
    }

    private func write(_ bytes: ByteBuffer) async -> ConnectionHandler.WriteResult {
        if eventLoop.inEventLoop { return handler.value.write(bytes, serial) }
        return await withCheckedContinuation { continuation in
            onLoop { continuation.resume(returning: $0.write(bytes, $1)) }
        }
    }

    private func isWritable() async -> Bool {
        if eventLoop.inEventLoop { return handler.value.isWritable(serial) }
        return await withCheckedContinuation { continuation in
            onLoop { continuation.resume(returning: $0.isWritable($1)) }
        }
    }

    private func writable() async {
        await withCheckedContinuation { continuation in
            onLoop { $0.whenWritable(continuation, $1) }
        }
    }

    private func onLoop(_ body: @escaping @Sendable (ConnectionHandler, Int) -> Void) {
        let (handler, serial) = (handler, serial)
        if eventLoop.inEventLoop {
            body(handler.value, serial)
        } else {
            eventLoop.execute { body(handler.value, serial) }
        }
    }
}

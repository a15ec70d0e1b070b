/// A small HTTP server for probes and metrics: answers GET requests for a few fixed paths, one a connection.
import NIOCore
import NIOHTTP1
import NIOPosix

/// Serves until its task is cancelled. Bounded: a connection has ten seconds and one request.
struct HealthServer: Sendable {
    struct Answer: Sendable {
        var status: HTTPResponseStatus
        var type = "text/plain; version=0.0.4; charset=utf-8"
        var body: String
    }

    let host: String
    let port: Int
    let answer: @Sendable (_ path: String) -> Answer

    /// - Parameter listening: Told the port that was bound.
    /// - Throws: `HealthServerError` where the port can't be had.
    func run(_ listening: @Sendable (Int) -> Void) async throws {
        let answer = answer
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(IdleStateHandler(allTimeout: .seconds(10)))
                    try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false)
                    try pipeline.addHandler(HealthHandler(answer: answer))
                }
            }
        let channel: any Channel
        do {
            channel = try await bootstrap.bind(host: host, port: port).get()
        } catch {
            throw HealthServerError(host: host, port: port, reason: "\(error)")
        }
        listening(channel.localAddress?.port ?? port)
        await withTaskCancellationHandler {
            // The close is what is waited for; that it failed would say no more.
            try? await channel.closeFuture.get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }
}

struct HealthServerError: Error, CustomStringConvertible {
    var host: String
    var port: Int
    var reason: String

    var description: String {
        "can't listen on \(host):\(port): \(reason); choose another port with --metrics-port"
    }
}

private final class HealthHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answer: @Sendable (String) -> HealthServer.Answer
    private var head: HTTPRequestHead?

    init(answer: @escaping @Sendable (String) -> HealthServer.Answer) {
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            guard let head else { return }
            self.head = nil
            respond(to: head, context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func respond(to head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let isKnown = head.method == .GET || head.method == .HEAD
        let answer =
            isKnown
            ? self.answer(String(head.uri.prefix { $0 != "?" }))
            : HealthServer.Answer(status: .methodNotAllowed, body: "only GET is answered here\n")
        let body = ByteBuffer(string: answer.body)
        let headers: HTTPHeaders = [
            "Content-Type": answer.type, "Content-Length": "\(body.readableBytes)", "Connection": "close",
        ]
        context.write(
            wrapOutboundOut(.head(.init(version: .http1_1, status: answer.status, headers: headers))),
            promise: nil)
        if head.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            channel.close(promise: nil)
        }
    }
}

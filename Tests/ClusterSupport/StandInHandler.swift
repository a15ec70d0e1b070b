/// One connection to the stand-in: gathers a request, asks for the answer, writes it.
import Foundation
import NIOCore
import NIOHTTP1

final class StandInHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let server: StandInServer
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    private static let bodyLimit = 3 << 20

    init(server: StandInServer) { self.server = server }

    static func chunk(_ bytes: [UInt8]) -> HTTPServerResponsePart {
        .body(.byteBuffer(ByteBuffer(bytes: bytes)))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
        case .body(let bytes):
            body += Array(bytes.readableBytesView)
            if body.count > Self.bodyLimit { context.close(promise: nil) }
        case .end:
            guard let head else { return }
            let call = APICall(
                method: head.method.rawValue, target: head.uri, headers: { head.headers.first(name: $0) },
                body: body)
            respond(to: call, isHead: head.method == .HEAD, context: context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func respond(to call: APICall, isHead: Bool, context: ChannelHandlerContext) {
        if let bytes = server.control(call) {
            return write(code: bytes.isEmpty ? 400 : 200, bytes, retryAfter: nil, context: context)
        }
        switch server.handle(call, on: context.channel) {
        case .document(let code, let bytes, let retryAfter):
            write(code: code, bytes, retryAfter: retryAfter, context: context)
        case .watch(let request): watch(request, context: context)
        case .hang: break
        case .nothing:
            // Begins to answer, for a client whose kept connection ends without a byte sends the request again unasked.
            let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: ["Content-Length": "1000"])
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(Self.chunk([UInt8(ascii: "{")]))).whenComplete {
                [channel = context.channel] _ in channel.close(promise: nil)
            }
        }
    }

    private func write(code: Int, _ bytes: [UInt8], retryAfter: Int?, context: ChannelHandlerContext) {
        var headers = HTTPHeaders([
            ("Content-Type", "application/json"), ("Content-Length", String(bytes.count)),
        ])
        if let retryAfter { headers.add(name: "Retry-After", value: String(retryAfter)) }
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: code), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(Self.chunk(bytes)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    private func watch(_ request: WatchRequest, context: ChannelHandlerContext) {
        let head = HTTPResponseHead(
            version: .http1_1, status: .ok,
            headers: ["Content-Type": "application/json", "Transfer-Encoding": "chunked"])
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        for line in request.first { context.write(wrapOutboundOut(Self.chunk(line)), promise: nil) }
        context.flush()
        let channel = context.channel
        context.eventLoop.scheduleTask(in: .seconds(Int64(request.timeout))) {
            channel.writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in
                channel.close(promise: nil)
            }
        }
    }
}

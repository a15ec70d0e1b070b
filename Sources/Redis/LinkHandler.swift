/// The end of a connection's pipeline: bytes become replies, events become the link's.
import NIOCore
import NIOPosix
import NIOSSL

final class LinkHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let link: Link
    private let attempt: Int
    private var reader: ReplyReader
    /// Ends an attempt that takes too long.
    private let deadline: Scheduled<Void>
    private var fault = LinkFault(.connectionLost)
    private var values: [RedisValue] = []

    init(_ link: Link, attempt: Int, reader: consuming ReplyReader, deadline: Scheduled<Void>) {
        self.link = link
        self.attempt = attempt
        self.reader = reader
        self.deadline = deadline
    }

    func channelActive(context: ChannelHandlerContext) {
        link.opened(attempt, context.channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        do {
            try buffer.withUnsafeReadableBytes { bytes throws(ReplyReader.Malformed) in try reader.feed(bytes)
            }
            while let value = try reader.next() { values.append(value) }
        } catch {
            // What was complete before the fault is still true.
            hand(over: context)
            return close(context, LinkFault(.malformedReply))
        }
        hand(over: context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline.cancel()
        link.ended(attempt, fault)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(context, Self.fault(error, default: .connectionLost))
    }

    private func hand(over context: ChannelHandlerContext) {
        guard !values.isEmpty else { return }
        let end = link.received(attempt, values)
        values.removeAll(keepingCapacity: true)
        if let end { close(context, end) }
    }

    private func close(_ context: ChannelHandlerContext, _ fault: LinkFault) {
        if self.fault.kind == .connectionLost { self.fault = fault }
        context.close(promise: nil)
    }

    static func fault(_ error: any Error, default kind: RedisError.Kind) -> LinkFault {
        switch error {
        case let fault as LinkFault: fault
        // One failure for each address of the host; the first says why.
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { Self.fault($0.error, default: kind) } ?? LinkFault(kind)
        case NIOSSLError.uncleanShutdown: LinkFault(.connectionLost)
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: LinkFault(.tls)
        default: LinkFault(kind)
        }
    }
}

/// Decides what leaves together: small pieces are copied into one buffer, large ones go as they are.
enum WriteCoalescing {
    private static let large = 32 << 10

    static func merge(_ buffers: [ByteBuffer]) -> [ByteBuffer] {
        guard buffers.count > 1 else { return buffers }
        var merged: [ByteBuffer] = []
        var current = ByteBuffer()
        for var buffer in buffers {
            if buffer.readableBytes < large {
                current.writeBuffer(&buffer)
            } else {
                if current.readableBytes > 0 { merged.append(current) }
                current = ByteBuffer()
                merged.append(buffer)
            }
        }
        if current.readableBytes > 0 { merged.append(current) }
        return merged
    }
}

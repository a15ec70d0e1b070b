/// Owns a connection that has become a long-lived event stream: it writes events and comments, and drops whatever the client still sends.
import Memory
import NIOCore

final class EventStreamHandler: ChannelInboundHandler, Ticking {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes that may wait for a slow reader. One that falls further behind is closed and resumes by `Last-Event-ID`.
    static let maxWaitingBytes = 256 * 1024

    private let loop: LoopContext
    private let feeds: SessionFeeds
    private let session: Digest128
    var tickIndex = 0
    private var context: ChannelHandlerContext?
    private var stall = StallWatch()
    private var lastWrite: ContinuousClock.Instant

    /// What the client says it has seen last; used once.
    private var lastEventID: String?

    init(loop: LoopContext, feeds: SessionFeeds, session: Digest128, lastEventID: String?) {
        self.loop = loop
        self.feeds = feeds
        self.session = session
        self.lastEventID = lastEventID
        self.lastWrite = loop.clock.now
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.clock.add(self)
        let subscriber = SessionFeeds.Subscriber(
            eventLoop: context.eventLoop, handler: NIOLoopBound(self, eventLoop: context.eventLoop),
            key: ObjectIdentifier(self))
        feeds.subscribe(subscriber, to: session, after: lastEventID)
        lastEventID = nil
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        feeds.unsubscribe(ObjectIdentifier(self), from: session)
        loop.clock.remove(self)
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func send(_ bytes: ByteBuffer) {
        guard let context else { return }
        lastWrite = loop.clock.now
        // An option that a channel type lacks means nothing is known to wait.
        let waiting = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        guard waiting + bytes.readableBytes <= Self.maxWaitingBytes else {
            context.close(promise: nil)
            return
        }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    /// Says goodbye and closes once that is flushed.
    func close(with bytes: ByteBuffer) {
        guard let context else { return }
        let channel = context.channel
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.assumeIsolated().whenComplete { _ in channel.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: flushed)
    }

    func tick(now: ContinuousClock.Instant) {
        guard let context else { return }
        if stall.isStalled(context.channel, now: now, limit: loop.limits.stallTimeout) {
            context.close(promise: nil)
        } else if lastWrite.duration(to: now) >= loop.limits.heartbeat {
            send(ByteBuffer(staticString: ":\n\n"))
        }
    }
}

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
    private let scope: Scope
    private let endsWith: TurnID?
    var tickIndex = 0
    private var context: ChannelHandlerContext?
    private var stall = StallWatch()
    private var lastWrite: ContinuousClock.Instant
    /// Used once.
    private var beginning: SessionFeeds.Beginning

    /// - Parameter endsWith: the turn with which the stream ends; nil: it goes on to later ones.
    init(
        loop: LoopContext, feeds: SessionFeeds, scope: Scope, from beginning: SessionFeeds.Beginning,
        endsWith: TurnID? = nil
    ) {
        self.loop = loop
        self.feeds = feeds
        self.scope = scope
        self.beginning = beginning
        self.endsWith = endsWith
        self.lastWrite = loop.clock.now
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.clock.add(self)
        let subscriber = SessionFeeds.Subscriber(
            eventLoop: context.eventLoop, handler: NIOLoopBound(self, eventLoop: context.eventLoop),
            key: ObjectIdentifier(self), endsWith: endsWith)
        feeds.subscribe(subscriber, to: scope, from: beginning)
        beginning = .nothing
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        feeds.unsubscribe(ObjectIdentifier(self), from: scope.session)
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
        // What a client missed may be more than that in one piece; it is bounded by the log.
        guard waiting == 0 || waiting + bytes.readableBytes <= Self.maxWaitingBytes else {
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

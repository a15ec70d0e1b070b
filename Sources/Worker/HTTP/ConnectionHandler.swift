/// Owns one client connection: puts requests together, hands them out one at a time, and lays the answers on the wire.
import NIOCore
import NIOHTTP1

final class ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler, Ticking {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let loop: LoopContext
    private var state: ConnectionState
    var tickIndex = 0
    private var context: ChannelHandlerContext?

    private var head: HTTPRequestHead?
    private var body: ByteBuffer?
    /// Parts of a pipelined request that came in the same read as the one being answered: one receive buffer's worth at most.
    private var waitingParts: [HTTPServerRequestPart] = []
    private var readHeld = false

    /// Counts the requests of this connection, so that a late call of a past exchange does nothing.
    private var serial = 0
    private var answer = Answer.none
    private var stall = StallWatch()
    private var writableWaiter: CheckedContinuation<Void, Never>?
    /// Tasks that wait for this exchange's end.
    private var leaveWaits = LeaveWaits()

    private enum Answer {
        case none
        case stream(OpenStream)
    }

    private struct OpenStream {
        var framing: BodyFraming
        /// Not on the wire yet: an error can still take its place.
        var head: ResponseHead?
        var heartbeat: String
        var lastWrite: ContinuousClock.Instant
    }

    init(loop: LoopContext) {
        self.loop = loop
        self.state = ConnectionState(limits: loop.limits, now: loop.clock.now)
    }

    // MARK: Inbound

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.clock.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        loop.clock.remove(self)
        self.context = nil
        clientIsGone()
    }

    func channelInactive(context: ChannelHandlerContext) {
        clientIsGone()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if state.wantsBytes, waitingParts.isEmpty {
            take(part, context)
        } else {
            waitingParts.append(part)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        state.readCompleted(now: .now)
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if state.wantsBytes {
            context.read()
        } else {
            readHeld = true
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else {
            context.close(promise: nil)
            return
        }
        if case .refuse(let reason) = state.malformed(now: .now) {
            refuse(error == .headerOverflow ? .headTooLarge : reason, context)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { resumeWriter() }
        context.fireChannelWritabilityChanged()
    }

    private func take(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head(let head):
            let action = state.headArrived(
                headBytes: head.bytesOnWire, contentLength: head.contentLength,
                expectsContinue: head.headers["expect"].contains { $0.lowercased() == "100-continue" },
                keepAlive: head.isKeepAlive, now: .now)
            switch action {
            case .collectBody(let sendContinue):
                self.head = head
                body = nil
                if sendContinue {
                    context.writeAndFlush(
                        wrapOutboundOut(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")),
                        promise: nil)
                }
            case .refuse(let reason): refuse(reason, context)
            case .drop: break
            }
        case .body(var bytes):
            switch state.bodyArrived(bytes: bytes.readableBytes, now: .now) {
            case .keep:
                if body?.writeBuffer(&bytes) == nil { body = bytes }
            case .refuse(let reason): refuse(reason, context)
            case .drop: break
            }
        case .end:
            guard state.endArrived(), let head else { return }
            serial += 1
            answer = .none
            let exchange = Exchange(
                eventLoop: context.eventLoop, handler: NIOLoopBound(self, eventLoop: context.eventLoop),
                serial: serial, http10: head.version == .http1_0)
            let request = ServerRequest(
                head: head, body: body ?? ByteBuffer(), exchange: exchange,
                isFromLoopback: context.remoteAddress?.isLoopback == true)
            self.head = nil
            body = nil
            if !loop.accept(request) {
                let error =
                    loop.draining()
                    ? APIError.draining : .overloaded("This worker can take no more requests.")
                respond(error.response, lateBytes: nil, serial)
            }
        }
    }

    private func refuse(_ reason: ConnectionState.Refusal, _ context: ChannelHandlerContext) {
        head = nil
        body = nil
        serial += 1
        writeWhole(APIError.refusal(reason, limits: loop.limits).response, close: true, context)
        end(close: true, context)
    }

    // MARK: Answers

    /// Sends a whole response; where a stream's head has gone already, `lateBytes` and the stream's end instead.
    /// Without effect where the exchange is over or its client is gone.
    func respond(_ response: Response, lateBytes: ByteBuffer?, _ serial: Int) {
        guard serial == self.serial, let context else { return }
        if case .stream(let stream) = answer, stream.head == nil {
            if let lateBytes { _ = write(lateBytes, serial) }
            endStream(serial, abort: lateBytes == nil)
            return
        }
        let close = loop.draining()
        writeWhole(response, close: close, context)
        end(close: close, context)
    }

    func openStream(_ head: ResponseHead, heartbeat: String, framing: BodyFraming, _ serial: Int) {
        guard serial == self.serial, context != nil else { return }
        answer = .stream(
            OpenStream(framing: framing, head: head, heartbeat: heartbeat, lastWrite: loop.clock.now))
    }

    enum WriteResult {
        case taken
        /// Taken, but wait before the next: the reader is behind.
        case full
        case gone
    }

    func write(_ bytes: ByteBuffer, _ serial: Int) -> WriteResult {
        guard serial == self.serial, let context, case .stream(var stream) = answer else { return .gone }
        if let head = stream.head {
            stream.head = nil
            writeStreamHead(head, stream.framing, context)
        }
        stream.lastWrite = loop.clock.now
        answer = .stream(stream)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        return context.channel.isWritable ? .taken : .full
    }

    func isWritable(_ serial: Int) -> Bool {
        serial == self.serial && context?.channel.isWritable == true
    }

    func endStream(_ serial: Int, abort: Bool) {
        guard serial == self.serial, let context, case .stream(let stream) = answer else { return }
        if abort {
            // Without the terminator: a cut stream must not look like a whole one.
            context.close(promise: nil)
            return
        }
        if let head = stream.head { writeStreamHead(head, stream.framing, context) }
        var bytes = context.channel.allocator.buffer(capacity: 8)
        bytes.writeBodyEnd(stream.framing)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        end(close: loop.draining() || stream.framing == .untilClose, context)
    }

    /// Gives the connection to a handler that only writes; the codec and this handler go.
    func becomeEventStream(_ head: ResponseHead, _ serial: Int, _ make: (LoopContext) -> EventStreamHandler) {
        guard serial == self.serial, let context else { return }
        var bytes = context.channel.allocator.buffer(capacity: 512)
        bytes.writeHead(head, framing: .untilClose, close: true, date: loop.clock.date)
        bytes.writeStaticString(": connected\n\n")
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        let pipeline = context.pipeline.syncOperations
        let channel = context.channel
        do {
            try channel.syncOptions?.setOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 256))
            let codec = try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try pipeline.addHandler(make(loop))
            pipeline.removeHandler(context: codec, promise: nil)
            pipeline.removeHandler(context: context, promise: nil)
            channel.read()
        } catch {
            channel.close(promise: nil)
        }
    }

    private func writeStreamHead(
        _ head: ResponseHead, _ framing: BodyFraming, _ context: ChannelHandlerContext
    ) {
        var bytes = context.channel.allocator.buffer(capacity: 512)
        bytes.writeHead(head, framing: framing, close: loop.draining(), date: loop.clock.date)
        context.write(wrapOutboundOut(bytes), promise: nil)
    }

    private func writeWhole(_ response: Response, close: Bool, _ context: ChannelHandlerContext) {
        var bytes = context.channel.allocator.buffer(capacity: 384 + response.body.count)
        bytes.writeHead(
            response.head, framing: .length(response.body.count), close: close, date: loop.clock.date)
        bytes.writeBytes(response.body)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    private func end(close: Bool, _ context: ChannelHandlerContext) {
        answer = .none
        leaveWaits.endAll()
        switch state.responseEnded(close: close, now: .now) {
        case .close:
            whenFlushed(context) { $0.close(promise: nil) }
        case .linger:
            whenFlushed(context) { $0.close(mode: .output, promise: nil) }
            if readHeld {
                readHeld = false
                context.read()
            }
        case .readNext:
            let parts = waitingParts
            waitingParts = []
            for (index, part) in parts.enumerated() {
                guard state.wantsBytes else {
                    waitingParts = Array(parts[index...])
                    return
                }
                take(part, context)
            }
            if readHeld, state.wantsBytes {
                readHeld = false
                context.read()
            }
        }
    }

    /// Closing at once would drop what the socket has not taken yet.
    private func whenFlushed(_ context: ChannelHandlerContext, _ then: @escaping (any Channel) -> Void) {
        let channel = context.channel
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.assumeIsolated().whenComplete { _ in then(channel) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: flushed)
    }

    // MARK: Waiting

    /// Resumes when the reader has caught up, or is gone.
    func whenWritable(_ continuation: CheckedContinuation<Void, Never>, _ serial: Int) {
        guard serial == self.serial, let context, context.channel.isActive, !context.channel.isWritable,
            writableWaiter == nil
        else {
            continuation.resume()
            return
        }
        writableWaiter = continuation
    }

    /// Resumes when the client is gone or the exchange has ended.
    func whenLeft(_ continuation: CheckedContinuation<Void, Never>, token: Int, _ serial: Int) {
        let isOpen = serial == self.serial && context?.channel.isActive == true && !state.wantsBytes
        leaveWaits.add(continuation, token: token, isOver: !isOpen)
    }

    func cancelLeaveWait(token: Int, _ serial: Int) {
        if serial == self.serial { leaveWaits.cancel(token: token) }
    }

    private func resumeWriter() {
        guard let waiter = writableWaiter else { return }
        writableWaiter = nil
        waiter.resume()
    }

    private func clientIsGone() {
        serial += 1
        answer = .none
        leaveWaits.endAll()
        resumeWriter()
    }

    // MARK: Time

    func tick(now: ContinuousClock.Instant) {
        guard let context else { return }
        if stall.isStalled(context.channel, now: now, limit: loop.limits.stallTimeout) {
            context.close(promise: nil)
            return
        }
        if loop.cutting() { leaveWaits.endAll() }
        if case .stream(let stream) = answer, stream.lastWrite.duration(to: now) >= loop.limits.heartbeat {
            var bytes = context.channel.allocator.buffer(capacity: 32)
            bytes.writeFramed(stream.framing) { $0.writeString(stream.heartbeat) }
            _ = write(bytes, serial)
        }
        if state.isIdle, loop.draining() {
            context.close(promise: nil)
            return
        }
        switch state.tick(now: now) {
        case .nothing: break
        case .close: context.close(promise: nil)
        case .refuse(let reason): refuse(reason, context)
        }
    }
}

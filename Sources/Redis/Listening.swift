/// Listens to a channel of Redis, and knows whether a message would arrive.
import Logging
import NIOCore
import Synchronization

/// What a listener is told, in order.
public enum RedisNews: Hashable, Sendable {
    /// From here on every message arrives.
    case listening
    case message([UInt8])
    /// Messages may be lost from here on, or some moments before.
    case deaf
}

extension RedisClient {
    /// How often a listener sends itself a word, through each master in turn; it is what tells that the others would be heard.
    private static var heartbeat: Duration { .seconds(1) }

    /// Listens until its task is cancelled or the client is closed, on any master; on another one where that is lost, or
    /// where the listener no longer hears itself.
    ///
    /// - Parameters:
    ///   - channel: for this listener alone. Empty messages are its own heartbeats and are not handed on.
    ///   - receive: called on an event loop, so it must not block; `deaf` is the last call.
    public func listen(
        to channel: RedisArgument, _ receive: @escaping @Sendable (RedisNews) -> Void
    ) async {
        let backOff = BackOff(first: configuration.reconnectDelay, limit: configuration.maxReconnectDelay)
        var generator = SystemRandomNumberGenerator()
        var failures = 0
        while !Task.isCancelled {
            await waitForTopology(until: .now() + .seconds(1))
            let masters: [RedisAddress]? = state.withLock { $0.isClosed ? nil : $0.topology.masters }
            guard let masters else { return }
            if let address = masters.randomElement(using: &generator) {
                let listener = Listener(address, channel: channel, settings: settings, receive)
                let hasHeard = await withTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { await self.sendHeartbeats(to: channel) }
                    defer { tasks.cancelAll() }
                    return await listener.run(on: group.next())
                }
                failures = hasHeard ? 1 : failures + 1
                logger.debug("no longer listening to Redis", metadata: ["node": "\(address)"])
            } else {
                failures += 1
            }
            // Throws where the task is cancelled.
            do { try await Task.sleep(for: backOff.delay(after: failures, using: &generator)) } catch {
                return
            }
        }
    }

    private func sendHeartbeats(to channel: RedisArgument) async {
        while !Task.isCancelled {
            // One that is not sent is not heard, and that is all that counts.
            _ = await send([RedisCommand("PUBLISH", [channel, ""], key: nil, isIdempotent: true)])
            // Throws where listening ends.
            do { try await Task.sleep(for: Self.heartbeat) } catch { return }
        }
    }
}

/// Owns the connection of one listener.
final class Listener: Sendable {
    /// How long a listener that hears nothing of itself is believed.
    static let silence = TimeAmount.seconds(4)

    private struct State {
        var channel: (any Channel)?
        var isCancelled = false
        var hasHeard = false
    }

    private let address: RedisAddress
    private let name: RedisArgument
    private let settings: Link.Settings
    private let receive: @Sendable (RedisNews) -> Void
    private let state = Mutex(State())

    init(
        _ address: RedisAddress, channel: RedisArgument, settings: Link.Settings,
        _ receive: @escaping @Sendable (RedisNews) -> Void
    ) {
        self.address = address
        name = channel
        self.settings = settings
        self.receive = receive
    }

    /// Returns when the connection is over, or there was none; true where it listened.
    func run(on loop: any EventLoop) async -> Bool {
        await withTaskCancellationHandler {
            do {
                let connection = try await settings.connect(to: address, on: loop) {
                    ListenerHandler(self, reader: $0)
                }.get()
                let isCancelled = state.withLock { state in
                    state.channel = connection
                    return state.isCancelled
                }
                if isCancelled { connection.close(promise: nil) }
                try await connection.closeFuture.get()
            } catch {
                settings.logger.debug(
                    "can't listen to Redis", metadata: ["node": "\(address)", "error": "\(error)"])
            }
        } onCancel: {
            let connection = state.withLock { state in
                state.isCancelled = true
                return state.channel
            }
            connection?.close(promise: nil)
        }
        return state.withLock(\.hasHeard)
    }

    /// What the connection says first: who it is, and what it listens to.
    fileprivate func opening() -> (bytes: ByteBuffer, answers: Int)? {
        guard var greeting = settings.greeting(),
            CommandEncoding.append(["SUBSCRIBE", name], to: &greeting.bytes)
        else { return nil }
        return (greeting.bytes, greeting.authenticates ? 2 : 1)
    }

    fileprivate func heard(_ news: RedisNews) {
        if news == .listening { state.withLock { $0.hasHeard = true } }
        receive(news)
    }
}

/// The end of a listener's pipeline. Closes the connection at the first answer that is none it knows.
private final class ListenerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let listener: Listener
    private var reader: ReplyReader
    private var answersBefore = 0
    private var isListening = false
    private var watch: Scheduled<Void>?

    init(_ listener: Listener, reader: consuming ReplyReader) {
        self.listener = listener
        self.reader = reader
    }

    func channelActive(context: ChannelHandlerContext) {
        guard let (bytes, answers) = listener.opening() else { return context.close(promise: nil) }
        answersBefore = answers
        context.writeAndFlush(NIOAny(bytes), promise: nil)
        wait(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        do {
            try unwrapInboundIn(data).withUnsafeReadableBytes {
                bytes throws(ReplyReader.Malformed) in try reader.feed(bytes)
            }
            while let value = try reader.next() {
                guard take(value, context) else { return context.close(promise: nil) }
            }
        } catch {
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        watch?.cancel()
        if isListening { listener.heard(.deaf) }
        isListening = false
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func take(_ value: RedisValue, _ context: ChannelHandlerContext) -> Bool {
        if answersBefore > 0 {
            answersBefore -= 1
            // A server may not let itself be told the client's name; it may not refuse the login.
            return value.errorCode == nil || answersBefore == 0
        }
        guard let words = value.array, words.count == 3, let kind = words[0].string else { return false }
        switch kind {
        case "subscribe":
            isListening = true
            listener.heard(.listening)
        case "message":
            guard let payload = words[2].bytes else { return false }
            wait(context)
            if !payload.isEmpty { listener.heard(.message(payload)) }
        default: return false
        }
        return true
    }

    /// Closes the connection unless something is heard in time.
    private func wait(_ context: ChannelHandlerContext) {
        watch?.cancel()
        let channel = context.channel
        watch = context.eventLoop.scheduleTask(in: Listener.silence) { channel.close(promise: nil) }
    }
}

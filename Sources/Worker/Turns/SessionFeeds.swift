/// Who listens to which session's events, and what the latest turns' events were: between running turns and event streams.
import Memory
import NIOCore
import Synchronization

/// Shared by all event loops. What it keeps is bounded: the logs of `maxLogs` sessions and `maxBytes` at most; the oldest that no
/// turn writes goes first.
final class SessionFeeds: Sendable {
    static let maxLogs = 2048
    static let maxBytes = 64 << 20

    struct Subscriber: Sendable {
        let eventLoop: any EventLoop
        let handler: NIOLoopBound<EventStreamHandler>
        let key: ObjectIdentifier
        /// The stream ends with this turn; nil: it goes on to later ones.
        let endsWith: TurnID?

        func send(_ bytes: ByteBuffer) { onLoop { $0.send(bytes) } }
        func close(with bytes: ByteBuffer) { onLoop { $0.close(with: bytes) } }

        private func onLoop(_ body: @escaping @Sendable (EventStreamHandler) -> Void) {
            if eventLoop.inEventLoop {
                body(handler.value)
            } else {
                eventLoop.execute { body(handler.value) }
            }
        }
    }

    /// What a stream is told before it is told what happens.
    enum Beginning: Sendable {
        case nothing
        /// What follows this event, or voids it, from the log.
        case after(EventID)
        /// The turn from its last attempt's begin on.
        case wholeTurn(TurnID)
        case missed(ByteBuffer)
    }

    fileprivate struct Log: Sendable {
        var events = EventLog()
        /// The turn that writes to it.
        var running: TurnID?
        /// The turn that ended last, where its reply is whole.
        var completed: TurnID?
        /// Nobody may come back to what is here once the running turn has ended.
        var isDropped = false

        /// What a client may be told of it.
        var told: EventLog? { isDropped && running == nil ? nil : events }
    }

    fileprivate struct Shared: Sendable {
        var subscribers: [Digest128: (scope: Scope, list: [Subscriber])] = [:]
        var logs: [Digest128: Log] = [:]
        /// Sessions with a log, the one whose turn began last at the end.
        var logOrder: [Digest128] = []
        var logBytes = 0
        var count = 0
        /// No stream stays any more: the worker ends.
        var isClosed = false
    }

    private let shared = Mutex(Shared())

    var subscriberCount: Int { shared.withLock { $0.count } }

    /// Sessions that somebody follows.
    var followed: [Scope] { shared.withLock { $0.subscribers.values.map(\.scope) } }

    func hasSubscribers(_ session: Digest128) -> Bool {
        shared.withLock { $0.subscribers[session] != nil }
    }

    /// The logged turn that runs in this process.
    func running(_ session: Digest128) -> TurnID? { shared.withLock { $0.logs[session]?.running } }

    /// Whether the turn runs in this process, or has ended with a whole reply whose end is here.
    func canTellEnd(of turn: TurnID, _ session: Digest128) -> Bool {
        shared.withLock { shared in
            guard let log = shared.logs[session], log.told != nil else { return false }
            return log.running == turn || log.completed == turn
        }
    }

    /// Whether a client that has seen this event can be told the rest from here.
    func canContinue(after id: EventID, _ session: Digest128) -> Bool {
        shared.withLock { $0.logs[session]?.told?.continuation(after: id) != nil }
    }

    func lastAttempt(of turn: TurnID, _ session: Digest128) -> Int? {
        shared.withLock { $0.logs[session]?.events.lastAttempt(of: turn) }
    }

    /// Adds a stream, whose beginning comes before all that is published from now on.
    func subscribe(_ subscriber: Subscriber, to scope: Scope, from beginning: Beginning) {
        let session = scope.session
        var (missed, isOver, isClosed) = shared.withLock { shared -> (ByteBuffer, Bool, Bool) in
            let log = shared.logs[session]
            let index: Int? =
                switch beginning {
                case .nothing, .missed: nil
                case .after(let id): log?.told?.continuation(after: id)
                case .wholeTurn(let turn): log?.told?.start(of: turn)
                }
            var missed = index.flatMap { log?.events.joined(from: $0) } ?? ByteBuffer()
            if case .missed(let bytes) = beginning { missed = bytes }
            shared.subscribers[session, default: (scope, [])].list.append(subscriber)
            shared.count += 1
            return (missed, subscriber.endsWith.map { $0 != log?.running } ?? false, shared.isClosed)
        }
        if isClosed, !isOver {
            var last = NativeEventEncoder.reconnect(after: .milliseconds(Int.random(in: 100...2000)))
            missed.writeBuffer(&last)
            subscriber.close(with: missed)
        } else if isOver {
            subscriber.close(with: missed)
        } else if missed.readableBytes > 0 {
            subscriber.send(missed)
        }
    }

    func unsubscribe(_ key: ObjectIdentifier, from session: Digest128) {
        shared.withLock { shared in
            guard var entry = shared.subscribers[session],
                let index = entry.list.firstIndex(where: { $0.key == key })
            else { return }
            entry.list.remove(at: index)
            shared.subscribers[session] = entry.list.isEmpty ? nil : entry
            shared.count -= 1
        }
    }

    /// A turn begins to write whose events are kept, for a client may come back for them.
    func beginTurn(_ turn: TurnID, _ session: Digest128) {
        shared.withLock { shared in
            if shared.logs[session] != nil { shared.logOrder.removeAll { $0 == session } }
            if shared.logs[session]?.isDropped == true { shared.clear(session) }
            shared.logs[session, default: Log()].running = turn
            shared.logOrder.append(session)
            shared.trim()
        }
    }

    /// What is kept of the session is not to be told any more: it was forgotten, or another worker goes on with it. A turn that
    /// runs tells its followers the rest.
    func drop(_ session: Digest128) {
        shared.withLock { shared in
            guard let log = shared.logs[session] else { return }
            if log.running == nil { shared.clear(session) } else { shared.logs[session]?.isDropped = true }
        }
    }

    /// Where the next event of the session's log will stand.
    func nextIndex(_ session: Digest128) -> Int {
        shared.withLock { $0.logs[session]?.events.nextIndex ?? 0 }
    }

    /// - Parameter end: the turn tells nothing after these.
    func publish(_ session: Digest128, _ events: [EncodedEvent], logged: Bool, end: TurnEnd?) {
        guard let first = events.first else { return }
        let subscribers = shared.withLock { shared -> [Subscriber] in
            if logged, let before = shared.logs[session]?.events.bytes {
                for event in events { shared.logs[session]?.events.append(id: event.id, event.bytes) }
                shared.logBytes += (shared.logs[session]?.events.bytes ?? before) - before
                if let end {
                    shared.logs[session]?.running = nil
                    shared.logs[session]?.completed = end == .completed ? first.id.turn : nil
                }
            }
            return shared.subscribers[session]?.list ?? []
        }
        guard !subscribers.isEmpty else { return }
        var joined = first.bytes
        for event in events.dropFirst() {
            var copy = event.bytes
            joined.writeBuffer(&copy)
        }
        for subscriber in subscribers {
            if end != nil, subscriber.endsWith == first.id.turn {
                subscriber.close(with: joined)
            } else {
                subscriber.send(joined)
            }
        }
    }

    func read(_ session: Digest128, from index: Int) -> EventLog.Reading {
        shared.withLock { $0.logs[session]?.events.read(from: index) ?? .lost }
    }

    /// All streams. One that comes from now on is told to reconnect at once.
    func close() -> [Subscriber] {
        shared.withLock { shared in
            shared.isClosed = true
            return shared.subscribers.values.flatMap(\.list)
        }
    }

    /// The streams of sessions in which no logged turn runs.
    func idleStreams() -> [Subscriber] {
        shared.withLock { shared in
            shared.subscribers.filter { shared.logs[$0.key]?.running == nil }.flatMap(\.value.list)
        }
    }
}

extension SessionFeeds.Shared {
    /// Forgets the session's events. Who still reads them is told that they are lost.
    fileprivate mutating func clear(_ session: Digest128) {
        logBytes -= logs[session]?.events.bytes ?? 0
        logs[session]?.events.removeAll()
        logs[session]?.isDropped = false
        logs[session]?.completed = nil
    }

    /// Drops the oldest logs that no turn writes, while there are too many or too large ones.
    fileprivate mutating func trim() {
        var index = 0
        while index < logOrder.count, logs.count > SessionFeeds.maxLogs || logBytes > SessionFeeds.maxBytes {
            let session = logOrder[index]
            guard logs[session]?.running == nil else {
                index += 1
                continue
            }
            logBytes -= logs.removeValue(forKey: session)?.events.bytes ?? 0
            logOrder.remove(at: index)
        }
    }
}

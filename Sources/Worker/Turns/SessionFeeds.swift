/// Who listens to which session's events, and what the latest turn's events were: between running turns and event streams.
import Memory
import NIOCore
import Synchronization

/// Shared by all event loops. What it keeps is bounded: a log for `maxLogs` sessions at most, the oldest that no turn
/// writes goes first.
final class SessionFeeds: Sendable {
    static let maxLogs = 2048

    struct Subscriber: Sendable {
        let eventLoop: any EventLoop
        let handler: NIOLoopBound<EventStreamHandler>
        let key: ObjectIdentifier

        func send(_ bytes: ByteBuffer) {
            if eventLoop.inEventLoop {
                handler.value.send(bytes)
            } else {
                eventLoop.execute { handler.value.send(bytes) }
            }
        }
    }

    private struct Shared: Sendable {
        var subscribers: [Digest128: [Subscriber]] = [:]
        var logs: [Digest128: EventLog] = [:]
        /// Sessions with a log, the one whose turn began last at the end.
        var logOrder: [Digest128] = []
        var count = 0
    }

    private let shared = Mutex(Shared())

    var subscriberCount: Int { shared.withLock { $0.count } }

    func hasSubscribers(_ session: Digest128) -> Bool {
        shared.withLock { $0.subscribers[session] != nil }
    }

    /// Adds a stream; first it gets what follows `lastEventID`, as far as the log still has it.
    func subscribe(_ subscriber: Subscriber, to session: Digest128, after lastEventID: String?) {
        let missed = shared.withLock { shared -> [LoggedEvent] in
            shared.subscribers[session, default: []].append(subscriber)
            shared.count += 1
            guard let lastEventID, let log = shared.logs[session],
                let index = log.index(after: lastEventID),
                case .events(let events) = log.read(
                    from: index, limit: EventLog.maxEvents)
            else { return [] }
            return events
        }
        var bytes = ByteBuffer()
        for event in missed {
            var copy = event.bytes
            bytes.writeBuffer(&copy)
        }
        if bytes.readableBytes > 0 { subscriber.send(bytes) }
    }

    func unsubscribe(_ key: ObjectIdentifier, from session: Digest128) {
        shared.withLock { shared in
            guard var list = shared.subscribers[session],
                let index = list.firstIndex(where: { $0.key == key })
            else { return }
            list.remove(at: index)
            shared.subscribers[session] = list.isEmpty ? nil : list
            shared.count -= 1
        }
    }

    /// A turn begins to write. Its events are kept only where a client may come back for them.
    func beginTurn(_ session: Digest128, logged: Bool) {
        guard logged else { return }
        shared.withLock { shared in
            if shared.logs[session] == nil {
                shared.logs[session] = EventLog()
            } else {
                shared.logs[session]?.beginTurn()
                shared.logOrder.removeAll { $0 == session }
            }
            shared.logOrder.append(session)
            while shared.logOrder.count > Self.maxLogs {
                shared.logs[shared.logOrder.removeFirst()] = nil
            }
        }
    }

    /// Where the next event of the session's log will stand.
    func nextIndex(_ session: Digest128) -> Int {
        shared.withLock { $0.logs[session]?.nextIndex ?? 0 }
    }

    func publish(_ session: Digest128, _ events: [(id: String, bytes: ByteBuffer)], logged: Bool) {
        let subscribers = shared.withLock { shared -> [Subscriber] in
            if logged {
                for event in events { _ = shared.logs[session]?.append(id: event.id, event.bytes) }
            }
            return shared.subscribers[session] ?? []
        }
        guard !subscribers.isEmpty else { return }
        var joined = events[0].bytes
        for event in events.dropFirst() {
            var copy = event.bytes
            joined.writeBuffer(&copy)
        }
        for subscriber in subscribers { subscriber.send(joined) }
    }

    func read(_ session: Digest128, from index: Int) -> EventLog.Reading {
        shared.withLock { $0.logs[session]?.read(from: index) ?? .lost }
    }

    /// Ends every stream with a last event that tells the client to come again, here or elsewhere.
    func closeAll(with farewell: ByteBuffer) {
        let all = shared.withLock { $0.subscribers.values.flatMap { $0 } }
        for subscriber in all {
            subscriber.eventLoop.execute { subscriber.handler.value.close(with: farewell) }
        }
    }
}

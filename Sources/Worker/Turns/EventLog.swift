/// The events of a session's latest turns, bounded, so that a reader that was behind or away can go on where it stopped. Pure.
import Memory
import NIOCore

/// One event as it goes on the wire, with its place among the session's events in this process.
struct LoggedEvent: Sendable {
    var index: Int
    var id: EventID
    /// A whole event with its empty line at the end.
    var bytes: ByteBuffer
}

struct EventLog: Sendable {
    static let maxEvents = 4096
    static let maxBytes = 512 * 1024

    private var events: CircularBuffer<LoggedEvent> = []
    private(set) var bytes = 0
    private(set) var nextIndex = 0

    mutating func append(id: EventID, _ event: ByteBuffer) {
        events.append(LoggedEvent(index: nextIndex, id: id, bytes: event))
        nextIndex += 1
        bytes += event.readableBytes
        while events.count > Self.maxEvents || (bytes > Self.maxBytes && events.count > 1) {
            bytes -= events.removeFirst().bytes.readableBytes
        }
    }

    /// What follows has new indices, so that whoever was behind learns it.
    mutating func removeAll() {
        events.removeAll(keepingCapacity: false)
        bytes = 0
    }

    enum Reading {
        case events([LoggedEvent])
        /// Some of what follows has left the log.
        case lost
    }

    /// What follows `index`, oldest first, at most `limit`.
    func read(from index: Int, limit: Int = 256) -> Reading {
        guard let first = events.first else { return index < nextIndex ? .lost : .events([]) }
        guard index >= first.index else { return .lost }
        return .events(Array(events.dropFirst(index - first.index).prefix(limit)))
    }

    /// The index after the event of this id; nil where the log doesn't have it.
    func index(after id: EventID) -> Int? {
        events.last { $0.id == id }.map { $0.index + 1 }
    }

    /// Where a client that has seen `last` goes on: after it, or where a later attempt of its turn begins, which voids what it has
    /// seen; nil where the log doesn't have that.
    func continuation(after last: EventID) -> Int? {
        if let index = index(after: last) { return index }
        guard let attempt = lastAttempt(of: last.turn), attempt > last.attempt else { return nil }
        return start(of: last.turn)
    }

    /// The index of the first event of the turn's last attempt; nil where the log doesn't have it.
    func start(of turn: TurnID) -> Int? {
        guard let attempt = lastAttempt(of: turn) else { return nil }
        return events.first { $0.id == EventID(turn: turn, attempt: attempt, sequence: 1) }?.index
    }

    /// Nil where nothing of the turn is here.
    func lastAttempt(of turn: TurnID) -> Int? {
        events.last { $0.id.turn == turn }?.id.attempt
    }

    /// All from `index` on, as one piece.
    func joined(from index: Int) -> ByteBuffer {
        var joined = ByteBuffer()
        guard case .events(let events) = read(from: index, limit: Self.maxEvents) else { return joined }
        for event in events {
            var copy = event.bytes
            joined.writeBuffer(&copy)
        }
        return joined
    }
}

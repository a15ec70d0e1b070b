/// The events of a session's latest turn, bounded, so that a reader that was behind or away can go on where it stopped. Pure.
import NIOCore

/// One event as it goes on the wire, with its place among the session's events in this process.
struct LoggedEvent: Sendable {
    var index: Int
    /// `turn.attempt.sequence`
    var id: String
    /// A whole event with its empty line at the end.
    var bytes: ByteBuffer
}

struct EventLog: Sendable {
    static let maxEvents = 4096
    static let maxBytes = 512 * 1024

    private var events: CircularBuffer<LoggedEvent> = []
    private var bytes = 0
    private(set) var nextIndex = 0

    mutating func append(id: String, _ event: ByteBuffer) -> LoggedEvent {
        let logged = LoggedEvent(index: nextIndex, id: id, bytes: event)
        nextIndex += 1
        bytes += event.readableBytes
        events.append(logged)
        while events.count > Self.maxEvents || (bytes > Self.maxBytes && events.count > 1) {
            bytes -= events.removeFirst().bytes.readableBytes
        }
        return logged
    }

    /// What a new turn leaves of the one before: nothing, for its events can be read as messages.
    mutating func beginTurn() {
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

    /// The index after the event of this id; `nil` where the log doesn't have it.
    func index(after id: String) -> Int? {
        events.last { $0.id == id }.map { $0.index + 1 }
    }

    var isEmpty: Bool { events.isEmpty }
}

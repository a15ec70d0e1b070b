/// Decides how a client that comes back gets the rest of its turn: from here, from the worker that runs it, from what L2 kept of it, or
/// from a new attempt. Pure.
import Memory
import NIOCore

enum Resumption: Sendable, Equatable {
    /// The worker that has the session tells the rest.
    case relay(to: String)
    /// The owner may be gone, but its lease has not ended: look again.
    case wait
    /// What was missed, and then whatever comes.
    case follow(missed: ByteBuffer)
    /// The turn's worker is gone before the turn's end: it is run again.
    case restart(request: [UInt8])
    /// The turn has ended, but what the client has not seen of it is not kept as events: it is told again from the history.
    case retell(attempt: Int)

    /// - Parameters:
    ///   - last: the event that the client saw last.
    ///   - lease: of the session's owner, where it has one.
    ///   - own: this worker's name.
    ///   - isReachable: the owner has not just been tried in vain.
    static func decide(
        after last: EventID, log: LiveTurnLog, lease: PeerDirectory.Lease, own: String, isReachable: Bool
    ) -> Resumption {
        let session = log.session
        if let owner = session.owner, owner != own {
            switch lease {
            case .alive where isReachable: return .relay(to: owner)
            // Whoever can't be reached may still be at it: only the end of its lease makes the turn anybody's.
            case .alive, .unknown: return .wait
            case .ended: break
            }
        }
        let events = KeptEvents(log.events)
        if session.unfinishedTurn == last.turn {
            guard let request = log.request else { return .retell(attempt: session.attempt + 1) }
            return .restart(request: request)
        }
        if let missed = events.following(last) { return .follow(missed: missed) }
        return .retell(attempt: max(last.attempt, session.turn == last.turn ? session.attempt : 0) + 1)
    }
}

/// Pieces of an event stream as L2 kept them, cut into events.
struct KeptEvents {
    private var events: [(id: EventID, bytes: ArraySlice<UInt8>)] = []

    init(_ pieces: [[UInt8]]) {
        var known: Set<EventID> = []
        for piece in pieces {
            var rest = piece[...]
            while let end = Self.endOfEvent(rest) {
                let event = rest[..<end]
                rest = rest[end...]
                // A piece whose answer was lost may have been kept twice.
                if let id = Self.id(of: event), known.insert(id).inserted { events.append((id, event)) }
            }
        }
    }

    /// All that was told after `last`, also of later turns; where a later attempt has voided it, that attempt. Nil where something
    /// of it is missing.
    func following(_ last: EventID) -> ByteBuffer? {
        guard let place = place(after: last) else { return nil }
        var bytes = ByteBuffer()
        for event in events[place...] { bytes.writeBytes(event.bytes) }
        return bytes
    }

    private func place(after last: EventID) -> Int? {
        if let place = events.firstIndex(where: { $0.id == last }) { return place + 1 }
        guard let attempt = events.last(where: { $0.id.turn == last.turn })?.id.attempt,
            attempt > last.attempt
        else { return nil }
        return events.firstIndex { $0.id == EventID(turn: last.turn, attempt: attempt, sequence: 1) }
    }

    /// Behind the empty line that ends the first event.
    private static func endOfEvent(_ bytes: ArraySlice<UInt8>) -> Int? {
        var index = bytes.startIndex
        while index + 1 < bytes.endIndex {
            if bytes[index] == 10, bytes[index + 1] == 10 { return index + 2 }
            index += 1
        }
        return nil
    }

    private static func id(of event: ArraySlice<UInt8>) -> EventID? {
        let prefix = Array("id: ".utf8)
        for line in event.split(separator: 10) where line.starts(with: prefix) {
            return EventID(String(decoding: line.dropFirst(prefix.count), as: UTF8.self))
        }
        return nil
    }
}

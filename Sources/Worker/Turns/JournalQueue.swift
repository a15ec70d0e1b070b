/// Decides what of running turns is written to L2 next: what begins or ends a turn at once, what it tells in between coalesced. Pure.
import Memory

/// Of one session at a time one write is under way, so that they arrive in order.
struct JournalQueue: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// One write to L2.
    enum Write: Sendable {
        /// The session becomes this worker's.
        case take(from: String?, turn: TurnStart?)
        case events([UInt8], turn: TurnID, attempt: Int, hasEnded: Bool)

        /// Somebody may need it at once.
        fileprivate var isUrgent: Bool {
            switch self {
            case .take: true
            case .events(_, _, _, let hasEnded): hasEnded
            }
        }

        fileprivate var bytes: Int {
            switch self {
            case .take(_, let turn): 64 + (turn?.request.count ?? 0)
            case .events(let bytes, _, _, _): bytes.count
            }
        }
    }

    struct TurnStart: Sendable {
        var id: TurnID
        var attempt: Int
        var request: [UInt8]
    }

    private struct Session: Sendable {
        var scope: Scope
        var waiting: [Write] = []
        var isWriting = false
        var retryAt: Instant?

        mutating func add(_ write: Write) {
            if case .events(let more, let turn, let attempt, let hasEnded) = write,
                case .events(var bytes, turn, attempt, false)? = waiting.last
            {
                // Taken out first, so that a token's bytes are appended where the others lie, without a copy of those.
                waiting.removeLast()
                bytes += more
                waiting.append(.events(bytes, turn: turn, attempt: attempt, hasEnded: hasEnded))
            } else {
                waiting.append(write)
            }
            while waiting.count > 1, waiting.reduce(0, { $0 + $1.bytes }) > JournalQueue.maxBytes {
                waiting.removeFirst()
            }
        }
    }

    /// Bytes of one session that may wait while L2 takes nothing; the oldest are given up first.
    static let maxBytes = 512 * 1024
    /// Sessions that may wait; more than may have running turns.
    static let maxSessions = 8192
    static let retryPause: Duration = .seconds(1)

    private var sessions: [Digest128: Session] = [:]

    var isEmpty: Bool { sessions.isEmpty }

    /// - Returns: whether it should be written without waiting for the next round.
    mutating func add(_ write: Write, of scope: Scope) -> Bool {
        guard sessions.count < Self.maxSessions || sessions[scope.session] != nil else { return false }
        sessions[scope.session, default: Session(scope: scope)].add(write)
        return write.isUrgent
    }

    /// What is to be written now, one write a session.
    ///
    /// - Parameter urgentOnly: leaves what can still be coalesced.
    mutating func due(urgentOnly: Bool, now: Instant) -> [(Scope, Write)] {
        var due: [(Scope, Write)] = []
        for (key, session) in sessions {
            guard !session.isWriting, let write = session.waiting.first,
                !urgentOnly || session.waiting.contains(where: \.isUrgent),
                session.retryAt.map({ $0 <= now }) ?? true
            else { continue }
            sessions[key]?.isWriting = true
            sessions[key]?.waiting.removeFirst()
            due.append((session.scope, write))
        }
        return due
    }

    /// - Returns: whether more of the session should be written without waiting for the next round.
    mutating func written(_ session: Digest128) -> Bool {
        guard var entry = sessions[session] else { return false }
        entry.isWriting = false
        entry.retryAt = nil
        sessions[session] = entry.waiting.isEmpty ? nil : entry
        return entry.waiting.contains(where: \.isUrgent)
    }

    /// The write goes first again, in a while; too old a one is given up, for a client that comes back is then served from the history.
    mutating func failed(_ session: Digest128, _ write: Write, now: Instant) {
        guard var entry = sessions[session] else { return }
        entry.isWriting = false
        entry.retryAt = now + Self.retryPause
        let waiting = entry.waiting.reduce(0) { $0 + $1.bytes }
        if waiting + write.bytes <= Self.maxBytes { entry.waiting.insert(write, at: 0) }
        sessions[session] = entry.waiting.isEmpty ? nil : entry
    }
}

/// Why the memory could not do what a turn asked for; each case is one answer to the client.
public enum MemoryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// As many turns wait for this session as may; try again when one has ended.
    case sessionBusy(waiting: Int)
    /// Another worker has the session. Nothing was held here.
    case elsewhere(LiveSession)
    /// L2 failed or did not answer in its time. Nothing was acknowledged.
    case storeUnavailable(String)
    /// The commit was sent but not confirmed within `commitDeadline`: it may or may not be stored. Sending the
    /// same turn id again settles it.
    case commitUnconfirmed
    /// The session was forgotten while the turn ran; the turn is not stored.
    case forgotten
    /// The task was cancelled while it waited.
    case cancelled
    /// The memory has been closed.
    case closed

    public var description: String {
        switch self {
        case .sessionBusy(let waiting):
            "\(waiting) turns are waiting for this session already; send the turn again when they have ended"
        case .elsewhere:
            "another worker has the session"
        case .storeUnavailable(let reason):
            "the session store does not answer: \(reason)"
        case .commitUnconfirmed:
            "the turn was not confirmed as stored in time; send it again with the same turn id"
        case .forgotten:
            "the session was forgotten while this turn ran; the turn is not stored"
        case .cancelled:
            "cancelled"
        case .closed:
            "the memory is closed: this process is shutting down"
        }
    }
}

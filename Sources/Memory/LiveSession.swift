/// What the workers of a pool tell each other through L2: who has a session, which turn runs in it, and how each of them fares.

/// What L2 knows of a session's owner and its latest turn.
///
/// The owner's lease is the worker's own: it lives while that worker reports. So a session costs no renewal, and all of a
/// worker's leases end together when it dies.
public struct LiveSession: Hashable, Sendable {
    /// The worker that has the session; nil where none has had it lately.
    public var owner: String?
    /// The turn that began last, where it is one that a client may come back for.
    public var turn: TurnID?
    /// Which try to answer the turn; counted from 1.
    public var attempt: Int
    /// The turn has told its last event.
    public var hasEnded: Bool

    public init(owner: String? = nil, turn: TurnID? = nil, attempt: Int = 0, hasEnded: Bool = false) {
        self.owner = owner
        self.turn = turn
        self.attempt = attempt
        self.hasEnded = hasEnded
    }

    /// The turn that was begun and never came to its end.
    public var unfinishedTurn: TurnID? { hasEnded ? nil : turn }
}

/// Where a session is to be served.
public enum SessionOpening: Sendable {
    /// Here, with what its last owner left.
    case here(SessionView, LiveSession)
    /// By one of the workers that were named.
    case elsewhere(LiveSession)
}

/// A session's latest turn as it stands in L2, for a client that comes back.
public struct LiveTurnLog: Sendable {
    public var session: LiveSession
    /// What the turn was asked with, as its client sent it; nil once it has ended.
    public var request: [UInt8]?
    /// Pieces of the event stream, oldest first; whole events each.
    public var events: [[UInt8]]
}

/// What a worker says of itself each second.
public struct WorkerReport: Codable, Hashable, Sendable {
    /// Of the process; no process before it had the name.
    public var worker: String
    public var pod: String
    /// Where other workers reach it, as `host:port`; nil where they can't.
    public var address: String?
    /// Sessions with a turn within the idle time whose last turn was this worker's.
    public var activeSessions: Int
    public var runningTurns: Int
    public var pendingRequests: Int
    /// It takes no new turns, or soon won't.
    public var isDraining: Bool

    public init(
        worker: String, pod: String, address: String?, activeSessions: Int, runningTurns: Int,
        pendingRequests: Int, isDraining: Bool
    ) {
        self.worker = worker
        self.pod = pod
        self.address = address
        self.activeSessions = activeSessions
        self.runningTurns = runningTurns
        self.pendingRequests = pendingRequests
        self.isDraining = isDraining
    }
}

/// All reports of a pool's workers as L2 had them at one moment.
public struct PoolReports: Sendable {
    public struct Entry: Sendable {
        public var report: WorkerReport
        /// By L2's own clock.
        public var age: Duration
    }

    public var entries: [Entry]
    /// What the pool's workers sign their requests to each other with. It changes when a pool without workers begins anew.
    public var key: [UInt8]
}

/// How long L2 keeps what belongs to running and resumable turns.
public struct LivePolicy: Hashable, Sendable {
    /// A turn's events are kept so long after the last of them; milliseconds.
    public var retention: Int64
    /// A session whose worker has written nothing for so long has no owner; milliseconds. Longer than any turn is silent.
    public var ownership: Int64
    /// Bytes of events of one session.
    public var maxEventBytes: Int

    public init(retention: Int64, ownership: Int64, maxEventBytes: Int) {
        self.retention = retention
        self.ownership = ownership
        self.maxEventBytes = maxEventBytes
    }
}

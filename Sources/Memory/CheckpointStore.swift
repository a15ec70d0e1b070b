/// The seam of L2: what a store of checkpoints and turns must do, each call one atomic step of one session.

/// Keeps sessions durably. A returned call is durable; one that threw may or may not have taken effect, and every call may
/// be repeated. All calls obey cancellation promptly. Time is a parameter, milliseconds since 1970.
///
/// Nothing here needs two sessions in one atomic step, so that a session's keys may live on one node of a cluster. What spans
/// sessions (a principal's recent sessions, what is due) may lag behind and be written before the step it speaks of.
public protocol CheckpointStore: Sendable {
    /// The checkpoint and its context, the turns from `Checkpoint.contextStart(limit:)` on, in one round trip; a checkpoint
    /// with no turns where there is no such session. Writes nothing.
    func load(_ scope: Scope, contextLimit: Int) async throws -> SessionView
    /// The same for a turn that begins, in one round trip too: where one of the workers `others` has the session, only that.
    func open(_ scope: Scope, contextLimit: Int, others: [String]) async throws -> SessionOpening
    /// Compare-and-append, as `CommitRule` decides: one atomic step, O(turn) bytes.
    func commit(_ request: CommitRequest) async throws -> CommitAnswer
    /// Turns after a sequence, oldest first.
    func turns(_ scope: Scope, after: Int, limit: Int) async throws -> [StoredTurn]
    func turn(_ scope: Scope, id: TurnID) async throws -> StoredTurn?
    /// The latest turn that answers a request of this digest and finished at or after `since`.
    func turn(_ scope: Scope, requestDigest: String, since: Int64) async throws -> StoredTurn?
    /// Un-archived turns that recall may see: of all the principal's sessions, the most recently used ones first.
    func fragments(_ scope: Scope, limit: FragmentLimit) async throws -> Fragments

    /// Makes the caller the one to carry out a plan until `until`.
    func claim(_ plan: ArchivePlan, token: String, until: Int64, now: Int64) async throws -> ClaimAnswer
    /// Notes which rows the claim's holder is about to write, beside those noted before, and prolongs the claim.
    /// False: the claim is lost, or the session forgotten; nothing may be written.
    func recordRows(_ claim: ArchiveClaim, rows: [String], until: Int64) async throws -> Bool
    /// Moves the checkpoint past the batch and drops the plan; `rows` replace those noted before. The rolling summary is the
    /// caller's to make: batches of a session are claimed in order, so nobody else changes it meanwhile.
    func finish(_ claim: ArchiveClaim, rows: [String], rollingSummary: String) async throws -> FinishAnswer
    /// Gives the claim back, with what is to become of the plan. A lost claim changes nothing.
    func giveBack(_ claim: ArchiveClaim, _ failure: ArchiveFailure) async throws
    /// Plans that may be claimed now, oldest attempts first.
    func pendingPlans(now: Int64, limit: Int) async throws -> [ArchivePlan]
    /// Writes plans for the fragments of sessions whose checkpoints are due, and returns how many it wrote.
    func planDueFragments(now: Int64, limit: Int) async throws -> Int

    /// Writes the tombstone and the work item and deletes checkpoint, turns and plans, in one step.
    func forget(_ scope: Scope, policy: BufferPolicy, now: Int64) async throws -> ForgetWork
    /// Sessions whose forgetting is not confirmed yet.
    func pendingForgets(limit: Int) async throws -> [ForgetWork]
    /// Drops a work item whose rows are confirmed absent.
    func completeForget(_ work: ForgetWork) async throws

    /// Whether other processes may change what this one holds in L1, and whether it would hear of that.
    var otherWriters: OtherWriters { get }
    /// For each session, whether this process was the last to write to it.
    func areOurs(_ sessions: [Scope]) async throws -> [Bool]
    /// A session has left L1; what the store holds there of its principal need not stay.
    func released(_ scope: Scope)
    /// Calls `handler` with what another process has changed. It must not block.
    func onForeignChange(_ handler: @escaping @Sendable (ForeignChange) -> Void)

    /// The same as `fragments`, and beside it what was kept of a recall, where the principal's archive generation is that of then.
    func fragments(
        _ scope: Scope, limit: FragmentLimit, recalling query: Digest128
    ) async throws -> (fragments: Fragments, recalled: String?)
    /// Keeps what a recall found in L3 for other workers, if the principal's archive generation is `generation` still. A few of
    /// a principal, for a while; what it takes no room for is not kept.
    func keepRecalled(
        _ found: String, for query: Digest128, _ scope: Scope, generation: Int64, now: Int64)
        async throws

    /// Deletes sessions a day past their time with all turns archived, and tombstones past theirs; how many.
    func expire(now: Int64, limit: Int) async throws -> Int
    func status() async throws -> CheckpointStatus
    func close() async
}

public enum OtherWriters: Hashable, Sendable {
    /// There are none.
    case none
    /// Who changes what this process has written last tells it so. What it has only read is not told.
    case heard
    /// L1 is not to be believed for now.
    case unheard
}

/// A store that one process has for itself.
extension CheckpointStore {
    public func open(
        _ scope: Scope, contextLimit: Int, others: [String]
    ) async throws -> SessionOpening {
        .here(try await load(scope, contextLimit: contextLimit), LiveSession())
    }
    public var otherWriters: OtherWriters { .none }
    public func areOurs(_ sessions: [Scope]) async throws -> [Bool] { sessions.map { _ in true } }
    public func released(_ scope: Scope) {}
    public func onForeignChange(_ handler: @escaping @Sendable (ForeignChange) -> Void) {}
    public func fragments(
        _ scope: Scope, limit: FragmentLimit, recalling query: Digest128
    ) async throws -> (fragments: Fragments, recalled: String?) {
        (try await fragments(scope, limit: limit), nil)
    }
    public func keepRecalled(
        _ found: String, for query: Digest128, _ scope: Scope, generation: Int64, now: Int64
    ) async throws {}
}

/// How a store keeps a session: decided by configuration, carried in the calls so that no store has settings of its own.
public struct BufferPolicy: Hashable, Sendable {
    public var rounds: Int
    public var historyLimit: Int
    /// Milliseconds.
    public var checkpointTTL: Int64
    /// Milliseconds before the checkpoint's end at which its fragment is due.
    public var sweepMargin: Int64

    public init(rounds: Int, historyLimit: Int, checkpointTTL: Int64, sweepMargin: Int64) {
        self.rounds = rounds
        self.historyLimit = historyLimit
        self.checkpointTTL = checkpointTTL
        self.sweepMargin = sweepMargin
    }
}

public struct CommitRequest: Sendable {
    public var scope: Scope
    public var turn: Turn
    /// The writer's idea of the session: its last turn and generation are what the store compares, its
    /// archived part tells a store what it need not send back.
    public var known: Checkpoint
    public var policy: BufferPolicy
    public var now: Int64
    /// Refuses the turn where another worker has the session by now.
    public var ownership: SessionOwnership?

    public init(
        scope: Scope, turn: Turn, known: Checkpoint, policy: BufferPolicy, now: Int64,
        ownership: SessionOwnership? = nil
    ) {
        self.scope = scope
        self.turn = turn
        self.known = known
        self.policy = policy
        self.now = now
        self.ownership = ownership
    }
}

/// What a writer takes itself for: the session's owner, after the one whom it has seen.
public struct SessionOwnership: Hashable, Sendable {
    /// The owner before, who does not serve the session any more.
    public var seen: String?
    /// For so long the session is the writer's from the commit on.
    public var length: Duration

    public init(seen: String?, length: Duration) {
        self.seen = seen
        self.length = length
    }
}

public enum CommitAnswer: Sendable {
    /// Stored at `sequence`, or put in the place of an unfinished turn of the same id; the checkpoint after it.
    case applied(sequence: Int, checkpoint: Checkpoint, plan: ArchivePlan?)
    /// The id was stored before; nothing was written.
    case duplicate(StoredTurn)
    /// Another turn than the writer knew is the last one; nothing was written.
    case stale(lastTurnID: TurnID?)
    /// The session was forgotten after the writer loaded it; nothing was written.
    case forgotten(generation: Int64)
    /// Another worker has the session; nothing was written.
    case elsewhere(owner: String)
}

public struct FragmentLimit: Hashable, Sendable {
    public var sessions: Int
    public var turns: Int
    /// Of the scope's own session only turns before this sequence are wanted: the rest stands in the prompt already.
    public var ownTurnsBefore: Int

    public init(sessions: Int, turns: Int, ownTurnsBefore: Int = .max) {
        self.sessions = sessions
        self.turns = turns
        self.ownTurnsBefore = ownTurnsBefore
    }
}

/// An un-archived turn and the session it belongs to.
public struct FragmentTurn: Hashable, Sendable {
    public var session: Digest128
    public var sessionID: String
    public var stored: StoredTurn

    public init(session: Digest128, sessionID: String, stored: StoredTurn) {
        self.session = session
        self.sessionID = sessionID
        self.stored = stored
    }
}

public struct Fragments: Sendable {
    /// Changes whenever a memory of the principal is archived or forgotten: cached answers of the index hold until then.
    public var archiveGeneration: Int64
    public var turns: [FragmentTurn]
    /// Sessions whose rows may still be in L3, with the generation that rows must have to be shown.
    public var forgetting: [Digest128: Int64]

    public init(archiveGeneration: Int64, turns: [FragmentTurn], forgetting: [Digest128: Int64]) {
        self.archiveGeneration = archiveGeneration
        self.turns = turns
        self.forgetting = forgetting
    }
}

/// The right to carry out a plan, until it expires or is given back.
public struct ArchiveClaim: Hashable, Sendable {
    public var plan: ArchivePlan
    public var token: String

    public init(plan: ArchivePlan, token: String) {
        self.plan = plan
        self.token = token
    }
}

public enum ClaimAnswer: Sendable {
    case granted(ClaimedBatch)
    /// Somebody else has it, an earlier batch of the session goes first, or its next attempt is not due.
    case busy
    /// Archived, parked or forgotten.
    case gone
}

public struct ClaimedBatch: Sendable {
    public var turns: [StoredTurn]
    /// The session's rolling summary before the batch.
    public var rollingSummary: String
    /// Failed attempts so far.
    public var attempts: Int
    /// Rows that earlier attempts may have written.
    public var rows: [String]

    public init(turns: [StoredTurn], rollingSummary: String, attempts: Int, rows: [String]) {
        self.turns = turns
        self.rollingSummary = rollingSummary
        self.attempts = attempts
        self.rows = rows
    }
}

public enum FinishAnswer: Sendable {
    /// The checkpoint after it.
    case archived(Checkpoint)
    /// The claim had expired and another took over; `rows` are what the batch has where that one is done, nil while it is not.
    case lost(rows: [String]?)
    /// The session was forgotten: what was written for it must go.
    case forgotten
}

public struct ArchiveFailure: Hashable, Sendable {
    /// Failed attempts, this one included.
    public var attempts: Int
    /// When the next attempt may be made; nil parks the plan for good.
    public var nextAttempt: Int64?
    public var reason: String

    public init(attempts: Int, nextAttempt: Int64?, reason: String) {
        self.attempts = attempts
        self.nextAttempt = nextAttempt
        self.reason = reason
    }
}

/// A forgotten session whose rows must be gone from L3 before it is done.
public struct ForgetWork: Hashable, Sendable {
    public var scope: Scope
    /// The generation that forgetting began: rows of older ones go.
    public var generation: Int64
    /// Rows known to have been written, or to be about to be.
    public var rows: [String]
    /// Until then somebody who had claimed a batch of the session may still write.
    public var claimsUntil: Int64

    public init(scope: Scope, generation: Int64, rows: [String], claimsUntil: Int64) {
        self.scope = scope
        self.generation = generation
        self.rows = rows
        self.claimsUntil = claimsUntil
    }
}

public struct CheckpointStatus: Hashable, Sendable {
    public var plansPending: Int
    public var plansParked: Int
    public var forgetsPending: Int
    /// The first few reasons, by batch id.
    public var parked: [String: String]
    /// What the store can't promise as it is set up, each with the mend.
    public var warnings: [String]

    public init(
        plansPending: Int, plansParked: Int, forgetsPending: Int, parked: [String: String],
        warnings: [String] = []
    ) {
        self.warnings = warnings
        self.plansPending = plansPending
        self.plansParked = plansParked
        self.forgetsPending = forgetsPending
        self.parked = parked
    }
}

/// What another process did to a session that this one may have in L1.
public enum ForeignChange: Hashable, Sendable {
    /// A turn was committed there, or the session forgotten: it goes on there, if anywhere.
    case session(Digest128)
    /// A batch was archived: the session is whose it was.
    case archive(Digest128)
    /// Some time went by in which nothing was heard.
    case any
}

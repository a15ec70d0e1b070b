/// What is known of a session between two turns: its checkpoint, the turns that make its prompt, and what a commit answers.

/// Where a session was found.
public enum MemoryTier: String, Codable, Sendable {
    case l1, l2, new
}

/// The state of a session without its turns. A session without turns has a checkpoint that is stored nowhere.
public struct Checkpoint: Hashable, Sendable {
    /// Zero, or the time of the last forgetting: what was written under an older one is refused.
    public var generation: Int64
    /// Milliseconds since 1970, of the first turn's commit.
    public var createdAt: Int64
    /// Turns committed; the sequence of the last one.
    public var turnCount: Int
    public var lastTurnID: TurnID?
    /// Milliseconds since 1970, of the last commit.
    public var lastTurnAt: Int64
    /// The agent that ended the last turn.
    public var activeAgent: String
    /// The skills that were read in the session, in the order of their first reading.
    public var activatedSkills: [String]
    /// Turns up to here are archived or have a plan to be.
    public var plannedThrough: Int
    /// The first turn of the batch that was archived last; 1 before that.
    public var archivedFirst: Int
    /// Turns up to here are in L3 (but those of a parked batch).
    public var archivedThrough: Int
    /// The last summaries, newest last, bounded by `RollingSummary.maximumCharacters`.
    public var rollingSummary: String

    public init(
        generation: Int64 = 0, createdAt: Int64 = 0, turnCount: Int = 0, lastTurnID: TurnID? = nil,
        lastTurnAt: Int64 = 0, activeAgent: String = "", activatedSkills: [String] = [],
        plannedThrough: Int = 0,
        archivedFirst: Int = 1, archivedThrough: Int = 0, rollingSummary: String = ""
    ) {
        self.generation = generation
        self.createdAt = createdAt
        self.turnCount = turnCount
        self.lastTurnID = lastTurnID
        self.lastTurnAt = lastTurnAt
        self.activeAgent = activeAgent
        self.activatedSkills = activatedSkills
        self.plannedThrough = plannedThrough
        self.archivedFirst = archivedFirst
        self.archivedThrough = archivedThrough
        self.rollingSummary = rollingSummary
    }

    /// The first turn of the context: the last archived batch's, so that the prompt's start moves only when a batch
    /// is archived. Where archiving lags, it moves with the plans instead, `limit` turns behind them.
    public func contextStart(limit: Int) -> Int {
        max(1, archivedFirst, plannedThrough - limit + 1)
    }
}

/// A session as one turn sees it: the checkpoint and the turns that stand in its prompt.
public struct SessionView: Hashable, Sendable {
    public var checkpoint: Checkpoint
    /// The un-archived tail plus the last archived batch, oldest first. Bounded, whatever the length of the history.
    public var context: [StoredTurn]

    public init(checkpoint: Checkpoint = .init(), context: [StoredTurn] = []) {
        self.checkpoint = checkpoint
        self.context = context
    }

    public var turnCount: Int { checkpoint.turnCount }
    public var archivedThrough: Int { checkpoint.archivedThrough }
    public var rollingSummary: String { checkpoint.rollingSummary }
    /// Empty before the first turn.
    public var activeAgent: String { checkpoint.activeAgent }
    public var activatedSkills: [String] { checkpoint.activatedSkills }
    public var createdAt: Int64 { checkpoint.createdAt }
    public var lastTurnID: TurnID? { checkpoint.lastTurnID }
    public var generation: Int64 { checkpoint.generation }
    /// Turns from this sequence on are in `context`: what recall leaves out.
    public var contextStart: Int { context.first?.sequence ?? checkpoint.turnCount + 1 }
}

/// What a client may know of a session without its turns.
public struct SessionDescription: Hashable, Sendable {
    public var sessionID: String
    public var turnCount: Int
    public var archivedThrough: Int
    public var rollingSummary: String
    public var activeAgent: String
    public var activatedSkills: [String]
    /// Milliseconds since 1970.
    public var createdAt: Int64
    /// Milliseconds since 1970.
    public var lastTurnAt: Int64

    public init(sessionID: String, checkpoint: Checkpoint) {
        self.sessionID = sessionID
        turnCount = checkpoint.turnCount
        archivedThrough = checkpoint.archivedThrough
        rollingSummary = checkpoint.rollingSummary
        activeAgent = checkpoint.activeAgent
        activatedSkills = checkpoint.activatedSkills
        createdAt = checkpoint.createdAt
        lastTurnAt = checkpoint.lastTurnAt
    }
}

/// What became of a committed turn.
public struct CommitOutcome: Hashable, Sendable {
    /// The turn's place in the history.
    public var sequence: Int
    /// The turn id was stored already: `stored` is what is kept, and nothing was written.
    public var duplicate: Bool
    /// Another writer had appended meanwhile; this turn stands after theirs, unchanged.
    public var concurrent: Bool
    /// This commit filled the buffer: the batch that may now be archived.
    public var plan: ArchivePlan?
    /// What the session's history holds under the turn's id now.
    public var stored: StoredTurn

    public init(
        sequence: Int, duplicate: Bool = false, concurrent: Bool = false, plan: ArchivePlan? = nil,
        stored: StoredTurn
    ) {
        self.sequence = sequence
        self.duplicate = duplicate
        self.concurrent = concurrent
        self.plan = plan
        self.stored = stored
    }
}

/// How far forgetting a session has come.
public enum ForgetProgress: String, Codable, Sendable {
    /// Nothing of it is left in any tier.
    case done
    /// It can't be opened, recalled or archived any more; rows or claims in flight are still being waited for.
    case pending
}

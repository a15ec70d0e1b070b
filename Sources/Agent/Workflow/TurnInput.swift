/// What one turn starts from, and what the engine may do with its memory.
import Memory

/// The new messages and the session as it stands before them.
public struct TurnInput: Sendable {
    public var turnID: TurnID
    public var sessionID: String
    /// The session's active agent; the pool's entry agent in a new session.
    public var agent: String
    /// The messages that are new in this turn.
    public var messages: [Message]
    /// What an earlier attempt of the turn had got to: its finished calls of tools are not made again.
    public var steps: [Message]
    /// The steps end with calls that were not made: they wait for a person, who decided so by their ids.
    public var decisions: [String: ApprovalDecision]?
    /// The turns that stand in the prompt, oldest first.
    public var history: [StoredTurn]
    /// What the user asked, where nothing is new but answers of the client's functions: for the case that the history has lost it.
    public var question: Message?
    public var rollingSummary: String
    /// The skills that were read in the session's turns; their guides stay in the prompt.
    public var activatedSkills: [String]
    /// The client's own system message, for this turn only: it stands behind the agent's instructions and is
    /// not stored.
    public var instructions: String?
    public var overrides: SamplingOverrides
    /// Offered to the turn's agents beside the pool's tools.
    public var clientFunctions: ClientFunctions
    /// Stored with the turn; see `Turn.requestDigest`.
    public var requestDigest: String?

    public init(
        turnID: TurnID, sessionID: String, agent: String, messages: [Message], steps: [Message] = [],
        decisions: [String: ApprovalDecision]? = nil, history: [StoredTurn] = [], question: Message? = nil,
        rollingSummary: String = "", activatedSkills: [String] = [], instructions: String? = nil,
        overrides: SamplingOverrides = SamplingOverrides(),
        clientFunctions: ClientFunctions = ClientFunctions(), requestDigest: String? = nil
    ) {
        self.turnID = turnID
        self.sessionID = sessionID
        self.agent = agent
        self.messages = messages
        self.steps = steps
        self.decisions = decisions
        self.history = history
        self.question = question
        self.rollingSummary = rollingSummary
        self.activatedSkills = activatedSkills
        self.instructions = instructions
        self.overrides = overrides
        self.clientFunctions = clientFunctions
        self.requestDigest = requestDigest
    }
}

/// What the engine needs of the memory, as functions: it knows of no store and of no scope.
public struct TurnMemory: Sendable {
    /// Memories for these words. Never fails; bounded by its own deadlines.
    public var recall: @Sendable (String) async -> Recall
    /// Returns when the turn is durable.
    public var commit: @Sendable (Turn) async throws -> CommitOutcome
    /// Returns when a turn that runs is durable as far as it got: before a tool is called, and after it.
    public var keep: @Sendable (Turn) async throws -> Void
    /// Carries out a plan. Never fails; what could not be done is done later by somebody.
    public var archive: @Sendable (ArchivePlan) async -> Void

    public init(
        recall: @escaping @Sendable (String) async -> Recall,
        commit: @escaping @Sendable (Turn) async throws -> CommitOutcome,
        keep: @escaping @Sendable (Turn) async throws -> Void,
        archive: @escaping @Sendable (ArchivePlan) async -> Void
    ) {
        self.recall = recall
        self.commit = commit
        self.keep = keep
        self.archive = archive
    }
}

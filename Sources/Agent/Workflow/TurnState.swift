import Memory

/// The state that is passed through a turn's workflow: each node answers what it adds, nothing is shared.
public struct TurnState: Sendable {
    public let input: TurnInput
    /// Who speaks now.
    public internal(set) var agent: String
    /// Milliseconds since 1970.
    public let startedAt: Int64
    public internal(set) var wantsMemory = false
    public internal(set) var recall: Recall?
    /// What came of asking the model, the last time in this turn; nil before that.
    public internal(set) var conversation: Conversation?
    /// The calls of tools before that, with their answers.
    var steps = ToolSteps()
    /// Of the replies before the last one.
    var usage = TokenUsage()
    /// How many more reports of running calls the client may be told.
    var progressLeft = ProgressPace.maximumInTurn
    /// Open calls need a person's approval.
    var isWaiting = false
    /// A step could not be made durable: then the turn can't be either.
    var isUnstorable = false
    public internal(set) var outcome: CommitOutcome?
    /// What ended the turn early, or follows its commit.
    public internal(set) var failure: TurnFailure?
    public internal(set) var timings = TurnTimings()

    public init(input: TurnInput, startedAt: Int64) {
        self.input = input
        agent = input.agent
        self.startedAt = startedAt
    }

    /// Whether an edge with this condition may be taken.
    public func satisfies(_ condition: Workflow.Condition) -> Bool {
        switch condition {
        case .always: true
        case .refused: failure?.kind == .refused
        case .memoryWanted: wantsMemory
        case .unanswered:
            isUnstorable
                || conversation?.ending == .failed && conversation?.reply.isEmpty == true
                    && steps.messages.isEmpty
        case .planned: outcome?.plan != nil
        }
    }

    /// The words to recall by: what the user says now, bounded.
    var recallQuery: String {
        let text = input.messages.lazy.filter { $0.role == .user }.map(\.content).joined(separator: "\n")
        return Sentences.bounded(text, bytes: 2000)
    }

    /// The turn to commit, as far as it got.
    func turn(finishedAt: Int64) -> Turn {
        var turn = runningTurn(at: finishedAt)
        turn.ending = isWaiting ? .waiting : conversation?.ending ?? .complete
        if let reply = conversation?.reply {
            if !reply.isEmpty { turn.messages.append(reply.message) }
            turn.usage = turn.usage + reply.usage
        }
        return turn
    }

    /// The turn with its steps, while there is more to come.
    func runningTurn(at time: Int64) -> Turn {
        Turn(
            id: input.turnID, messages: input.messages + steps.messages,
            inputCount: steps.messages.isEmpty ? nil : input.messages.count, agent: agent,
            ending: .running, startedAt: startedAt, finishedAt: time, usage: usage,
            requestDigest: input.requestDigest)
    }

    /// The last events of the turn, once it is known how it ends.
    var finalEvents: [TurnEvent] {
        var events: [TurnEvent] = []
        if let outcome {
            let reply = conversation?.reply
            events += outcome.stored.turn.awaitingApproval.map { .approvalRequired($0) }
            events.append(
                .committed(
                    TurnReport(
                        turn: outcome.stored.turn, outcome: outcome,
                        finishReason: reply?.finishReason ?? .stop,
                        usage: outcome.stored.turn.usage, recall: recall, timings: timings)))
        }
        if let failure { events.append(.failed(failure)) }
        return events
    }
}

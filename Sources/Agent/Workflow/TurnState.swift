import Memory
import PoolAPI

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
    /// What an agent said last, as far as the walk has come.
    var reply = ""
    /// The visit of a node that asked it.
    var conversationMark: String?
    /// What was said and called before that, with the calls' answers.
    var steps: ToolSteps
    /// Open calls are another attempt's: whether they took effect is not known.
    var areRecorded = true
    /// Of the replies before the last one.
    var usage = TokenUsage()
    /// How many more reports of running calls the client may be told.
    var progressLeft = ProgressPace.maximumInTurn
    /// Open calls need a person's approval.
    var isWaiting = false
    /// Open calls are the client's to carry out: the turn ends with them.
    var asksClient = false
    /// A model has answered in this turn.
    var hasReplied = false
    /// A step could not be made durable: then the turn can't be either.
    var isUnstorable = false
    /// The last condition's pattern was found.
    var isMatched = false
    /// A call of the last node that makes calls was not done.
    var isFailed = false
    /// What came of each node that has run, by its name.
    var outputs: [String: String] = [:]
    /// Events that are told with the next ones.
    var untold: [TurnEvent] = []
    public internal(set) var outcome: CommitOutcome?
    /// What ended the turn early, or follows its commit.
    public internal(set) var failure: TurnFailure?
    public internal(set) var timings = TurnTimings()

    public init(input: TurnInput, startedAt: Int64) {
        self.input = input
        agent = input.agent
        steps = ToolSteps(recorded: input.steps)
        self.startedAt = startedAt
    }

    /// Whether an edge with this condition may be taken.
    func satisfies(_ condition: AgentPoolSpec.Workflow.When) -> Bool {
        switch condition {
        case .memoryWanted: wantsMemory
        case .matched: isMatched
        case .failed: isFailed
        case .planned: outcome?.plan != nil
        }
    }

    /// What no new call may be named. Some models' servers count calls anew in each reply; clients tell those of a whole conversation
    /// apart by their ids.
    var takenCallIDs: Set<String> {
        guard !input.clientFunctions.offered.isEmpty else { return steps.callIDs }
        let said = input.history.flatMap(\.turn.messages) + input.messages
        return steps.callIDs.union(said.lazy.flatMap { $0.toolCalls ?? [] }.map(\.id))
    }

    /// There is nothing to store: the model gave no reply.
    var isUnanswered: Bool {
        isUnstorable
            || conversation?.ending == .failed && conversation?.reply.isEmpty == true
                && steps.messages.isEmpty
    }

    /// The turn goes no further, or not now: its client or a person is asked, or its reply was cut off.
    var isToBeStored: Bool {
        asksClient || isWaiting || conversation.map { $0.ending != .complete } == true
    }

    mutating func takeUntold() -> [TurnEvent] {
        defer { untold = [] }
        return untold
    }

    /// Makes the last reply one of the steps: another node follows that says or calls something.
    mutating func closeReply() {
        guard let reply = conversation?.reply, let mark = conversationMark else { return }
        // Calls that its node has left are nobody's to make. An empty reply is kept too: its node has had its say.
        steps.ask(Message(role: .assistant, content: reply.text, node: mark))
        usage = usage + reply.usage
        (conversation, conversationMark) = (nil, nil)
    }

    /// Ends the turn for a reason of its own. What there is of it is stored.
    mutating func end(with failure: TurnFailure) {
        closeReply()
        conversation = Conversation(failedWith: failure)
        if isUnanswered { self.failure = failure }
    }

    /// What stands in a place of a template. On whatever attempt, a node finds there what it found on the first.
    func value(_ source: WorkflowTemplate.Source) -> JSONValue {
        switch source {
        case .input: return .string(asked.map(\.content).joined(separator: "\n"))
        case .reply: return .string(reply)
        case .session: return .string(input.sessionID)
        case .step(let name, let path):
            let output = outputs[name] ?? ""
            return path.isEmpty ? .string(output) : (JSONValue(json: output) ?? .null).at(path)
        }
    }

    /// The words to recall by, bounded.
    var recallQuery: String {
        Sentences.bounded(asked.map(\.content).joined(separator: "\n"), bytes: 2000)
    }

    /// What the user says now; where the client brings nothing but answers of its functions, what it was that led to the calls.
    var asked: [Message] {
        let isUsers = { (message: Message) in message.role == .user }
        let now = input.messages.filter(isUsers)
        guard now.isEmpty else { return now }
        return input.history.lazy.reversed().compactMap { $0.turn.messages.last(where: isUsers) }.first.map {
            [$0]
        }
            ?? input.question.map { [$0] } ?? []
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

    /// As a client is told it: calls of the pool's own tools are no reason for it to stop at.
    private var finishReason: FinishReason {
        if asksClient { return .toolCalls }
        let reason = conversation?.reply.finishReason ?? .stop
        return reason == .toolCalls ? .stop : reason
    }

    /// The last events of the turn, once it is known how it ends.
    var finalEvents: [TurnEvent] {
        var events: [TurnEvent] = []
        if let outcome {
            events += outcome.stored.turn.clientCalls.map { .toolCall($0) }
            events += outcome.stored.turn.awaitingApproval.map { .approvalRequired($0) }
            events.append(
                .committed(
                    TurnReport(
                        turn: outcome.stored.turn, outcome: outcome,
                        finishReason: finishReason,
                        usage: outcome.stored.turn.usage, recall: recall, timings: timings)))
        }
        if let failure { events.append(.failed(failure)) }
        return events
    }
}

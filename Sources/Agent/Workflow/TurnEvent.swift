/// What a turn tells while it runs and when it ends.
import Memory

/// A turn ends with `.committed` or with `.failed`, and nothing comes after. A reply that the model broke off
/// ends with both, in one array: what there was is committed, then the failure is told.
public enum TurnEvent: Sendable {
    /// A node of the workflow begins. Told together with what comes next, not ahead of it.
    case step(name: String, kind: Workflow.NodeKind)
    case recalled(Recall)
    /// A piece of the reply, as the model cut it.
    case text(String)
    /// A function call that the model asked for, whole; marked where it waits for a person, or did, and where it is the client's own: such
    /// a one is durable.
    case toolCall(ToolCall)
    /// How far a running call is. Kept nowhere, and told only while the call runs.
    case toolProgress(id: String, name: String, ToolProgress)
    /// What came of a call of one of the pool's tools; it is durable.
    case toolResult(id: String, name: String, ToolResult)
    /// A call is made only when a person approves it; the turn ends here, and goes on with the decision.
    case approvalRequired(ToolCall)
    /// The guard has something to tell of the turn; it goes on, or is refused after this.
    case guarded(GuardNotice)
    /// Another agent speaks from here on; durable.
    case agentChanged(to: String)
    /// The turn is durable.
    case committed(TurnReport)
    case failed(TurnFailure)
}

extension [TurnEvent] {
    /// The same, the calls marked that are about to wait for a person.
    func marking(_ waits: (ToolCall) -> Bool) -> [TurnEvent] {
        func isCall(_ event: TurnEvent) -> Bool { if case .toolCall = event { true } else { false } }
        guard contains(where: isCall) else { return self }
        return map { event in
            guard case .toolCall(var call) = event, waits(call) else { return event }
            call.approval = .awaited
            return .toolCall(call)
        }
    }
}

/// A committed turn and what it took.
public struct TurnReport: Sendable {
    /// As it is stored.
    public var turn: Turn
    public var outcome: CommitOutcome
    public var finishReason: FinishReason
    public var usage: TokenUsage
    /// Nil where the guard asked for no memories.
    public var recall: Recall?
    public var timings: TurnTimings

    public init(
        turn: Turn, outcome: CommitOutcome, finishReason: FinishReason, usage: TokenUsage,
        recall: Recall? = nil,
        timings: TurnTimings = TurnTimings()
    ) {
        self.turn = turn
        self.outcome = outcome
        self.finishReason = finishReason
        self.usage = usage
        self.recall = recall
        self.timings = timings
    }
}

/// How long the parts of a turn took. A part that did not happen is nil.
public struct TurnTimings: Sendable, Equatable {
    /// Asking the memory.
    public var recall: Duration?
    /// From the turn's start to the first piece of the reply.
    public var firstToken: Duration?
    /// From asking the model to the end of its replies, its tools included.
    public var model: Duration?
    public var commit: Duration?

    public init() {}
}

/// Why a turn failed, with what an HTTP surface needs to answer for it.
public struct TurnFailure: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        /// A rule of the manifest's guard.
        case refused
        /// The model or its server.
        case model
        /// The turn took longer than `concurrency.turnTimeout`.
        case timeout
        /// The client left before the model was asked, or the task was cancelled.
        case cancelled
        /// The turn could not be made durable.
        case store
    }

    public var kind: Kind
    /// For the client. Holds no secret.
    public var message: String
    /// The HTTP status that fits where none was sent yet.
    public var status: Int
    /// A stable word for programs: `input_refused`, `model_unavailable`.
    public var code: String
    /// Whether the same turn id may be sent again with hope.
    public var isRetryable: Bool
    /// The model server's `Retry-After`, as it came.
    public var retryAfter: String?
    /// The model server's own status, where it answered with an error.
    public var upstreamStatus: Int?

    public init(
        kind: Kind, message: String, status: Int, code: String, isRetryable: Bool, retryAfter: String? = nil,
        upstreamStatus: Int? = nil
    ) {
        self.kind = kind
        self.message = message
        self.status = status
        self.code = code
        self.isRetryable = isRetryable
        self.retryAfter = retryAfter
        self.upstreamStatus = upstreamStatus
    }

    public var description: String { message }
}

extension TurnEvent {
    /// The events of a turn that is stored already, for a client that sends it again: as if it had just been
    /// made.
    ///
    /// For whole turns, and such as wait for an approval; one that was cut off is to be run again under its id.
    public static func replay(_ stored: StoredTurn) -> [TurnEvent] {
        let answer = stored.turn.messages.last { $0.role == .assistant }
        let steps = stored.turn.inputCount == nil ? (answer.map { [$0] } ?? [])[...] : stored.turn.steps
        var events = telling(steps) + stored.turn.awaitingApproval.map { .approvalRequired($0) }
        let outcome = CommitOutcome(
            sequence: stored.sequence, duplicate: true, concurrent: stored.turn.concurrent, stored: stored)
        events.append(
            .committed(
                TurnReport(
                    turn: stored.turn, outcome: outcome,
                    finishReason: stored.turn.clientCalls.isEmpty ? .stop : .toolCalls,
                    usage: stored.turn.usage)))
        return events
    }
}

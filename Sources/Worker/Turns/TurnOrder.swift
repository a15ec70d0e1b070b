/// What a turn is asked with, and what is known of it when it begins.
import Agent
import Memory

/// What a request asks of the agents, whatever API it came by.
struct TurnOrder: Sendable {
    /// `nil`: whoever spoke last in the session, or the pool's entry agent.
    var agent: String?
    /// What the client believes has been said so far; empty where it leaves the history to us.
    var prior: [Message] = []
    var new: [Message]
    /// The turn after which this one goes on, where the client names one; `prior` is empty then.
    var after: TurnID?
    /// The client's own system message, for this turn only.
    var instructions: String?
    var overrides = SamplingOverrides()
    /// That the client carries out itself.
    var functions = ClientFunctions()
    /// The field of the body that holds the messages.
    var field = "messages"
    /// Chosen by the client; minted where it chose none.
    var turnID: TurnID?
    /// Of the request's body, so that a retry without an id can be told.
    var digest: String?
    /// The client says that it has sent this before.
    var isRetry = false
    /// The request as it came, where another worker may have to go on with the turn; nil for turns that end with their client.
    var request: [UInt8]?
    /// What the client has seen of the turn, where it comes back to it.
    var lastSeen: EventID?
    /// What was decided about the calls that the turn waits for, by their ids.
    var decisions: [String: ApprovalDecision]?
}

extension TurnOrder {
    /// The agent whose calls are answered, where nothing else is new; nil too where the history has no such call.
    func asker(in context: [StoredTurn]) -> String? {
        guard isAnswer, let call = new.first?.toolCallID else { return nil }
        return context.last { $0.turn.clientCalls.contains { $0.id == call } }?.turn.agent
    }

    /// What is offered: a turn that goes on has what was judged when it began, and that was another request's where the body differs.
    func functions(after known: Turn?) -> ClientFunctions {
        guard let known, !known.steps.isEmpty, known.requestDigest != digest else { return functions }
        return ClientFunctions()
    }

    /// Nothing is new but answers of the client's functions.
    var isAnswer: Bool { new.first?.role == .tool && !new.contains { $0.role == .user } }

    /// What the client's own history says that the user said last, as it would be stored.
    func question(_ redaction: Redaction) -> Message? {
        prior.last { $0.role == .user }.map { redaction.redacted($0) }
    }
}

/// What is known when a turn begins: the response's head is made of it.
struct TurnOpening: Sendable {
    var turn: TurnID
    var agent: String
    /// Why it is that agent, where the router chose.
    var route: AgentRouter.Route?
    var tier: MemoryTier
    /// The sequence that the turn continues from, where that is not the history's end.
    var forkedAfter: Int?
    /// Which try to answer the turn; counted from 1.
    var attempt = 1
    /// Somebody was told of an attempt before this one that came to no end, or that is not kept.
    var isRestart = false
    /// The session's owner before, who does not serve it any more.
    var ownerBefore: String?
    /// How often the turn had waited for a person before what was asked for now.
    var part = 0
    /// The turn is in the history already, and told from there.
    var known: StoredTurn?
}

/// One exchange of a session: what came in, what the agent answered, and how it ended. The unit of commit.
public struct Turn: Codable, Hashable, Sendable {
    /// How a turn came to its end.
    public enum Ending: String, Codable, Sendable {
        /// The reply is whole.
        case complete
        /// The client left; what had been generated until then is kept.
        case cancelled
        /// The model failed in the middle; what had been generated until then is kept.
        case failed
        /// It has called tools, and has come to no end yet: it runs, or its worker is gone.
        case running
        /// It has come to calls that a person has to approve, and goes on when that is decided.
        case waiting

        /// Nothing is added to the turn any more, unless it is sent again.
        public var isOver: Bool {
            switch self {
            case .complete, .cancelled, .failed: true
            case .running, .waiting: false
            }
        }
    }

    public var id: TurnID
    /// The new user (and tool) messages, then what the agent added, in order.
    public var messages: [Message]
    /// How many of the messages came in; nil where no tool was called, for then all but a last reply did.
    public var inputCount: Int?
    public var agent: String
    public var ending: Ending
    /// Appended beside a turn that another writer had committed meanwhile.
    public var concurrent: Bool
    /// Where the client went back in the conversation: the sequence after which this turn continues. What lies
    /// between stays in the history and is no longer shown to the model.
    public var forkedAfter: Int?
    /// Milliseconds since 1970.
    public var startedAt: Int64
    /// Milliseconds since 1970.
    public var finishedAt: Int64
    public var usage: TokenUsage
    /// Hex digest of the request body that asked for this turn: finds a retry that carries no id.
    public var requestDigest: String?

    public init(
        id: TurnID, messages: [Message], inputCount: Int? = nil, agent: String, ending: Ending = .complete,
        concurrent: Bool = false, forkedAfter: Int? = nil, startedAt: Int64, finishedAt: Int64,
        usage: TokenUsage = .init(), requestDigest: String? = nil
    ) {
        self.id = id
        self.messages = messages
        self.inputCount = inputCount
        self.agent = agent
        self.ending = ending
        self.concurrent = concurrent
        self.forkedAfter = forkedAfter
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.usage = usage
        self.requestDigest = requestDigest
    }

    /// What the agent added where it called tools: its messages, and the answers of the tools.
    public var steps: ArraySlice<Message> { inputCount.map { messages.dropFirst($0) } ?? [] }

    /// The skills that were read in the turn, each once, in their order.
    public var activatedSkills: [String] {
        ActivatedSkills.adding(messages.lazy.compactMap(\.skillText?.skill), to: [])
    }

    /// The turn as it is remembered: skills' files are the pool's own, not what was said.
    var withoutSkillTexts: Turn {
        var turn = self
        turn.messages.removeAll { $0.skillText != nil }
        return turn
    }

    /// The calls with which the turn ends: its client is to carry them out, and to bring their answers with the next one.
    public var clientCalls: [ToolCall] {
        guard ending == .complete, let asked = messages.lastIndex(where: { $0.role == .assistant }),
            asked >= inputCount ?? messages.count - 1
        else { return [] }
        let answered = Set(messages[asked...].compactMap(\.toolCallID))
        return (messages[asked].toolCalls ?? []).filter { $0.byClient == true && !answered.contains($0.id) }
    }

    /// The turn's messages as a client has them that was shown the agent's words as one reply.
    public var shown: [Message] {
        guard let inputCount else { return messages }
        let reply = steps.filter { $0.role == .assistant }.map(\.content).joined()
        let calls = clientCalls
        guard !reply.isEmpty || !calls.isEmpty else { return Array(messages.prefix(inputCount)) }
        return messages.prefix(inputCount) + [
            Message(role: .assistant, content: reply, toolCalls: calls.isEmpty ? nil : calls)
        ]
    }
}

/// A turn with its place in the session's history. Sequences start at 1 and have no gaps.
public struct StoredTurn: Codable, Hashable, Sendable {
    public var sequence: Int
    public var turn: Turn

    public init(sequence: Int, turn: Turn) {
        self.sequence = sequence
        self.turn = turn
    }
}

/// Names a turn within its session, chosen by the client or minted: sending the same id again asks for the same turn.
public struct TurnID: Hashable, Sendable, Codable, CustomStringConvertible {
    public static let maximumBytes = 200

    public let value: String

    /// `nil` where the text is empty, longer than `maximumBytes` or holds control characters.
    public init?(_ value: String) {
        guard !value.isEmpty, value.utf8.count <= Self.maximumBytes,
            value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { return nil }
        self.value = value
    }

    private init(minted value: String) { self.value = value }

    /// A fresh id: 96 random bits.
    public static func mint() -> TurnID {
        var generator = SystemRandomNumberGenerator()
        let high = String(generator.next() as UInt64, radix: 36)
        let low = String(generator.next() as UInt32, radix: 36)
        return TurnID(minted: "turn-" + high + low)
    }

    public init(from decoder: any Decoder) throws {
        value = try decoder.singleValueContainer().decode(String.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }

    public var description: String { value }
}

/// Which turns become one memory, under which name, and what a summariser is asked and may answer.

/// A batch of turns to be archived. Only plans are archived, whoever carries them out.
public struct ArchivePlan: Hashable, Sendable {
    public var scope: Scope
    /// The agent of the batch's last turn.
    public var agent: String
    /// Made from the session's digest, generation, birth and the turns' range: whoever archives the batch, and
    /// however often, writes under the same name.
    public var batchID: String
    public var first: Int
    public var last: Int
    public var generation: Int64

    public init(scope: Scope, agent: String, first: Int, last: Int, generation: Int64, createdAt: Int64) {
        self.scope = scope
        self.agent = agent
        self.first = first
        self.last = last
        self.generation = generation
        batchID =
            "\(scope.session)-\(String(generation, radix: 36))-\(String(createdAt, radix: 36))-\(first)-\(last)"
    }

    /// The session's, as the batch id has it; nil in a damaged one.
    var createdAt: Int64? {
        let parts = batchID.split(separator: "-")
        return parts.count == 5 ? Int64(parts[2], radix: 36) : nil
    }

    /// A plan as a store kept it.
    init(scope: Scope, agent: String, batchID: String, first: Int, last: Int, generation: Int64) {
        self.scope = scope
        self.agent = agent
        self.batchID = batchID
        self.first = first
        self.last = last
        self.generation = generation
    }
}

extension ArchivePlan: Codable {
    enum CodingKeys: String, CodingKey {
        case principal, session, sessionID, agent, batchID, first, last, generation
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        scope = Scope(
            principal: try values.decode(Digest128.self, forKey: .principal),
            session: try values.decode(Digest128.self, forKey: .session),
            sessionID: try values.decode(String.self, forKey: .sessionID))
        agent = try values.decode(String.self, forKey: .agent)
        batchID = try values.decode(String.self, forKey: .batchID)
        first = try values.decode(Int.self, forKey: .first)
        last = try values.decode(Int.self, forKey: .last)
        generation = try values.decode(Int64.self, forKey: .generation)
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(scope.principal, forKey: .principal)
        try values.encode(scope.session, forKey: .session)
        try values.encode(scope.sessionID, forKey: .sessionID)
        try values.encode(agent, forKey: .agent)
        try values.encode(batchID, forKey: .batchID)
        try values.encode(first, forKey: .first)
        try values.encode(last, forKey: .last)
        try values.encode(generation, forKey: .generation)
    }
}

/// What a summariser is asked: the turns are data, not instructions.
public struct SummaryRequest: Hashable, Sendable {
    public var agent: String
    public var turns: [StoredTurn]
    /// The session's rolling summary before these turns.
    public var previousSummary: String

    public init(agent: String, turns: [StoredTurn], previousSummary: String) {
        self.agent = agent
        self.turns = turns
        self.previousSummary = previousSummary
    }
}

/// Why a summariser could not do it. Any other error counts as transient.
public enum SummaryFailure: Error, Hashable, Sendable {
    /// More than the model takes: the batch is split in halves.
    case tooLarge
    /// Trying again can't help: the batch is parked.
    case permanent(String)
    /// Tried again later.
    case transient(String)
}

/// Writes the summary and key entities of a batch. Obeys cancellation.
public typealias Summarizer = @Sendable (SummaryRequest) async throws -> BatchSummary

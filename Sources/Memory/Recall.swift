/// What recall answers: memories ranked for one query, and which stages a deadline or an outage left out.

/// A remembered piece, as it is shown to a model (quoted as data) and to the client.
public struct RecalledMemory: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Sendable {
        /// An archived batch of turns, found by its summary's vector or its text.
        case summary
        /// A turn that is not archived yet, found by its words.
        case fragment
    }

    /// The batch id of a summary; `fragment-<session digest>-<turn sequence>` of a fragment.
    public var id: String
    public var kind: Kind
    /// The client's name for the session it comes from.
    public var session: String
    public var agent: String
    public var firstTurn: Int
    public var lastTurn: Int
    /// Milliseconds since 1970, of the last turn in it.
    public var time: Int64
    /// The summary; for a fragment the turn's text.
    public var text: String
    /// The passage of the original turns that fits the query best; empty for fragments.
    public var excerpt: String
    public var entities: [String]
    /// 0...1, comparable within one answer only.
    public var score: Double

    public init(
        id: String, kind: Kind, session: String, agent: String, firstTurn: Int, lastTurn: Int,
        time: Int64, text: String, excerpt: String, entities: [String], score: Double
    ) {
        self.id = id
        self.kind = kind
        self.session = session
        self.agent = agent
        self.firstTurn = firstTurn
        self.lastTurn = lastTurn
        self.time = time
        self.text = text
        self.excerpt = excerpt
        self.entities = entities
        self.score = score
    }

    enum CodingKeys: String, CodingKey {
        case id, kind, session, agent, time, text, excerpt, entities, score
        case firstTurn = "first_turn"
        case lastTurn = "last_turn"
    }
}

public struct Recall: Hashable, Sendable {
    /// A stage that did not answer in its time, or failed; the others' results stand.
    public enum Stage: String, Codable, Sendable {
        case embedding, index, fragments
    }

    /// Best first.
    public var memories: [RecalledMemory]
    public var skipped: [Stage]
    /// Answered from L1 or from L2's cache: the index was not asked.
    public var cached: Bool

    public init(memories: [RecalledMemory] = [], skipped: [Stage] = [], cached: Bool = false) {
        self.memories = memories
        self.skipped = skipped
        self.cached = cached
    }
}

/// Turns text into vectors of one model. Reaches this module as a function, so that memory knows nothing of models' wire formats.
public struct Embedder: Sendable {
    /// Names the vector space: vectors of different models never mix.
    public let model: String
    public let dimension: Int
    /// As many vectors as texts, each of `dimension` floats and unit length. Obeys cancellation.
    public let embed: @Sendable ([String]) async throws -> [[Float]]

    public init(
        model: String, dimension: Int, embed: @escaping @Sendable ([String]) async throws -> [[Float]]
    ) {
        self.model = model
        self.dimension = dimension
        self.embed = embed
    }
}

/// What a summariser makes of a batch of turns.
public struct BatchSummary: Codable, Hashable, Sendable {
    public var summary: String
    public var entities: [String]

    public init(summary: String, entities: [String]) {
        self.summary = summary
        self.entities = entities
    }

    /// What the row's vector is made of.
    var embeddedText: String {
        entities.isEmpty ? summary : summary + "\n" + entities.joined(separator: ", ")
    }
}

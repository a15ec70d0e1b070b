/// The seam of L3: what an index of archived memories must do; every call carries the scope it may touch.

/// Keeps memory rows of one embedding model and finds them by vector and by words. Every call may be repeated and obeys
/// cancellation promptly.
public protocol MemoryIndex: Sendable {
    /// Who finds rows by their words; nil: not known yet.
    var textSearch: TextSearch? { get }
    /// The vector space that the index is bound to.
    var embedding: EmbeddingSpace { get }
    /// Writes rows under their ids; one that is there is replaced.
    func upsert(_ entries: [IndexEntry]) async throws
    /// The rows of the scope's principal, ranked by vector and by words apart.
    func search(_ scope: Scope, _ query: IndexQuery) async throws -> IndexAnswer
    /// Brings the principal's rows into L1, as they are at an archive generation, where they are not there already and are
    /// not too many. May take long, and fail: the next search asks the store.
    func warm(_ scope: Scope, generation: Int64) async throws
    func delete(_ scope: Scope, rows: [String]) async throws
    /// Ids of the session's rows that are older than a generation, and those of `rows` that are still there.
    func remaining(_ scope: Scope, before generation: Int64, rows: [String]) async throws -> [String]
    /// Throws where the index can't answer.
    func check() async throws
    func close() async
}

public enum TextSearch: String, Hashable, Sendable, CaseIterable {
    /// BM25, in the store.
    case store
    /// BM25, in this process, over what the store finds by vectors.
    case rerank
}

/// A model's vector space: vectors of different ones never mix.
public struct EmbeddingSpace: Hashable, Sendable, Codable {
    public var model: String
    public var dimension: Int

    public init(model: String, dimension: Int) {
        self.model = model
        self.dimension = dimension
    }
}

extension Embedder {
    public var space: EmbeddingSpace { EmbeddingSpace(model: model, dimension: dimension) }
}

/// An archived batch of turns.
public struct MemoryRow: Hashable, Sendable {
    /// Bytes of `text`, at most.
    public static let maximumTextBytes = 60_000

    /// The batch id, with a suffix where the batch was split.
    public var id: String
    public var scope: Scope
    public var generation: Int64
    public var agent: String
    public var firstTurn: Int
    public var lastTurn: Int
    /// Milliseconds since 1970, of the last turn in it.
    public var time: Int64
    public var summary: String
    public var entities: [String]
    /// What was said, a line a message.
    public var text: String

    public init(
        id: String, scope: Scope, generation: Int64, agent: String, firstTurn: Int, lastTurn: Int,
        time: Int64, summary: String, entities: [String], text: String
    ) {
        self.id = id
        self.scope = scope
        self.generation = generation
        self.agent = agent
        self.firstTurn = firstTurn
        self.lastTurn = lastTurn
        self.time = time
        self.summary = summary
        self.entities = entities
        self.text = text
    }
}

/// A row with the vector of its summary and entities.
public struct IndexEntry: Hashable, Sendable {
    public var row: MemoryRow
    public var vector: [Float]

    public init(row: MemoryRow, vector: [Float]) {
        self.row = row
        self.vector = vector
    }
}

public struct IndexQuery: Hashable, Sendable {
    /// Nil where the embedding was late: the index is searched by words alone.
    public var vector: [Float]?
    public var text: String
    /// The text's terms, each once: what an index without a text search of its own looks for.
    public var terms: [String]
    /// Rows of each ranking, at most.
    public var limit: Int
    /// The principal's archive generation, where it is known: what L1 holds of it is good for an answer.
    public var generation: Int64?

    public init(
        vector: [Float]?, text: String, terms: [String]? = nil, limit: Int, generation: Int64? = nil
    ) {
        self.generation = generation
        self.vector = vector
        self.text = text
        self.terms = terms ?? Tokenizer.queryTerms(text)
        self.limit = limit
    }
}

public struct IndexHit: Hashable, Sendable {
    public var row: MemoryRow
    /// Cosine similarity, where the vector found it.
    public var similarity: Double?
    /// 0...1, how much of the query its words answer, where words found it.
    public var relevance: Double?
    /// How well its best passages answer the query, where words found it: comparable within one answer.
    public var passage: Double?

    public init(row: MemoryRow, similarity: Double?, relevance: Double?, passage: Double? = nil) {
        self.row = row
        self.similarity = similarity
        self.relevance = relevance
        self.passage = passage
    }
}

public struct IndexAnswer: Sendable {
    /// In no order.
    public var hits: [IndexHit]
    /// Of the rows that were searched, where the index knows it: lets fragments be weighed alike.
    public var statistics: TermStatistics?
    /// No server was asked for it.
    public var isLocal: Bool

    public init(hits: [IndexHit], statistics: TermStatistics? = nil, isLocal: Bool = true) {
        self.isLocal = isLocal
        self.hits = hits
        self.statistics = statistics
    }
}

/// How common a query's terms are in a collection: in how many of its documents, and of the lines that were said in them.
public struct TermStatistics: Hashable, Sendable {
    public var documents: Int
    public var frequencies: [String: Int]
    public var lines = 0
    public var lineFrequencies: [String: Int] = [:]
    public var passages = 0
    /// Terms in all passages.
    public var passageTerms = 0

    public init(documents: Int = 0, frequencies: [String: Int] = [:]) {
        self.documents = documents
        self.frequencies = frequencies
    }

    static func + (left: TermStatistics, right: TermStatistics) -> TermStatistics {
        var sum = left
        sum.documents += right.documents
        sum.frequencies.merge(right.frequencies, uniquingKeysWith: +)
        sum.lines += right.lines
        sum.lineFrequencies.merge(right.lineFrequencies, uniquingKeysWith: +)
        sum.passages += right.passages
        sum.passageTerms += right.passageTerms
        return sum
    }
}

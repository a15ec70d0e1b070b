/// A memory as Milvus keeps it, and the bounds of its fields.

/// One row. Strings may hold anything; their bounds are bytes of UTF-8 (`MemoryCollection.Field`).
public struct MilvusRow: Sendable, Hashable {
    /// The primary key: writing it again replaces the row.
    public var id: String
    /// Digests; all that filters are made of. The pool's is that of its memory scope.
    public var pool: String
    public var principal: String
    public var session: String
    /// For display.
    public var sessionName: String
    public var generation: Int64
    public var agent: String
    public var firstTurn: Int64
    public var lastTurn: Int64
    /// Milliseconds since 1970.
    public var time: Int64
    public var summary: String
    public var entities: String
    public var text: String
    /// Empty where it was not asked for.
    public var vector: [Float]

    public init(
        id: String, pool: String, principal: String, session: String, sessionName: String, generation: Int64,
        agent: String, firstTurn: Int64, lastTurn: Int64, time: Int64, summary: String, entities: String,
        text: String,
        vector: [Float]
    ) {
        self.id = id
        self.pool = pool
        self.principal = principal
        self.session = session
        self.sessionName = sessionName
        self.generation = generation
        self.agent = agent
        self.firstTurn = firstTurn
        self.lastTurn = lastTurn
        self.time = time
        self.summary = summary
        self.entities = entities
        self.text = text
        self.vector = vector
    }
}

/// A row that a search found, without its vector.
public struct MilvusHit: Sendable, Hashable {
    public var row: MilvusRow
    /// Larger is nearer: cosine similarity (-1...1) of a search by vector, BM25 (0 and more) of one by text.
    public var score: Double

    public init(row: MilvusRow, score: Double) {
        self.row = row
        self.score = score
    }
}

/// Rows in no order.
public struct MilvusPage: Sendable, Hashable {
    public var rows: [MilvusRow]
    /// There are rows that the limit left out.
    public var hasMore: Bool

    public init(rows: [MilvusRow], hasMore: Bool) {
        self.rows = rows
        self.hasMore = hasMore
    }
}

public struct MilvusStatistics: Sendable, Hashable {
    /// Of the whole collection, as the server counts them: rows that were replaced or deleted may still be in it, and new
    /// ones not yet.
    public var rowsRoughly: Int
    public var searchesText: Bool
}

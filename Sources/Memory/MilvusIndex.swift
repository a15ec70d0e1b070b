/// L3 on Milvus: memory rows with their vectors. Those of the principals in use are held in L1 and searched there.
import Logging
import Milvus
import Synchronization

public final class MilvusIndex: MemoryIndex {
    /// Rows of one principal that L1 takes; one that has more is searched on the server.
    private static let residentRows = 1000
    private static let residentPrincipalLimit = 8 << 20
    /// Bytes of memories in L1, roughly.
    private static let residentLimit = 64 << 20
    /// What the server is asked for at least, so that words have something to rank.
    private static let candidates = 48

    public let embedding: EmbeddingSpace
    /// The digest of the pool that rows are written for.
    private let pool: String
    private let client: MilvusClient
    private let opening: MilvusOpening
    private let logger: Logger
    private let resident = Mutex(BoundedCache<Digest128, Resident>(limit: MilvusIndex.residentLimit))

    /// What one principal had at one archive generation; nil where that is too much.
    private struct Resident: Sendable {
        var generation: Int64
        var memories: ResidentMemories?
    }

    /// Connects to nothing yet: `run` does.
    ///
    /// - Parameters:
    ///   - pool: the pool's memory scope. Pools may share a collection.
    ///   - collection: the name of the collection, which belongs to one embedding.
    /// - Throws: where the settings can't be used, such as a file that is not there.
    public init(
        _ settings: MilvusSettings, pool: String, collection: String, embedding: EmbeddingSpace,
        logger: Logger
    ) throws {
        self.embedding = embedding
        self.pool = Digest128(pool: pool).description
        self.logger = logger
        client = try MilvusClient(settings, logger: logger)
        opening = MilvusOpening(
            client: client,
            collection: MemoryCollection(
                name: collection, embeddingModel: embedding.model, dimension: embedding.dimension),
            logger: logger)
    }

    /// Keeps the connections, opens the collection as soon as the server lets it, and deletes rows past their time; must be
    /// running for the rest to work. Returns when it is cancelled.
    ///
    /// - Parameters:
    ///   - retention: how long a row is kept after its last turn.
    ///   - now: milliseconds since 1970.
    public func run(retention: Duration, now: @escaping @Sendable () -> Int64) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [client, logger] in
                do {
                    try await client.run()
                } catch {
                    logger.error("the connections to Milvus ended", metadata: ["error": "\(error)"])
                }
            }
            tasks.addTask { [opening] in await opening.run(retention: retention, now: now) }
        }
    }

    public var textSearch: TextSearch? { opening.current.map { $0.searchesText ? .store : .rerank } }

    public func upsert(_ entries: [IndexEntry]) async throws {
        try await opening.collection().upsert(entries.map { MilvusRow($0, pool: pool) })
    }

    public func search(_ scope: Scope, _ query: IndexQuery) async throws -> IndexAnswer {
        if let generation = query.generation, let memories = held(scope.principal, at: generation) {
            return memories.search(query)
        }
        let collection = try opening.collection()
        let limit = max(query.limit, Self.candidates)
        let principal = scope.principal.description
        async let worded = Self.searchWords(collection, principal, query.text, limit: limit)
        var similarities: [String: Double] = [:]
        var rows: [String: MilvusRow] = [:]
        if let vector = query.vector {
            for hit in try await collection.search(principal: principal, vector: vector, limit: limit) {
                similarities[hit.row.id] = hit.score
                rows[hit.row.id] = hit.row
            }
        }
        for hit in try await worded { rows[hit.row.id] = hit.row }
        if query.vector == nil, !collection.searchesText {
            // Without a vector there is nothing to search by: the words rank what the principal has.
            let page = try await collection.rows(
                principal: principal, withVectors: false, limit: limit, strong: false)
            for row in page.rows { rows[row.id] = row }
        }
        var answer = LexicalRerank.rank(
            rows.values.sorted { $0.id < $1.id }.map { MemoryRow($0, scope) }, similarities: similarities,
            terms: query.terms, limit: query.limit)
        answer.isLocal = false
        return answer
    }

    private static func searchWords(
        _ collection: MilvusCollection, _ principal: String, _ text: String, limit: Int
    ) async throws -> [MilvusHit] {
        guard collection.searchesText else { return [] }
        return try await collection.search(principal: principal, text: text, limit: limit)
    }

    private func held(_ principal: Digest128, at generation: Int64) -> ResidentMemories? {
        resident.withLock { cache in
            guard let entry = cache.value(for: principal), entry.generation == generation else { return nil }
            return entry.memories
        }
    }

    public func warm(_ scope: Scope, generation: Int64) async throws {
        let isKnown = resident.withLock { $0.value(for: scope.principal)?.generation == generation }
        guard !isKnown else { return }
        // Strong, or a row that was archived a moment ago could be missing for as long as the generation lasts.
        let page = try await opening.collection().rows(
            principal: scope.principal.description, withVectors: true, limit: Self.residentRows, strong: true)
        var memories: ResidentMemories?
        if !page.hasMore {
            // Cutting a thousand texts into terms takes a while that no event loop has.
            let read = await withTaskExecutorPreference(globalConcurrentExecutor) { [embedding] in
                ResidentMemories(page.rows, scope, dimension: embedding.dimension)
            }
            if read.bytes <= Self.residentPrincipalLimit { memories = read }
        }
        resident.withLock { cache in
            cache.insert(
                Resident(generation: generation, memories: memories), for: scope.principal,
                cost: memories?.bytes ?? 256)
        }
    }

    public func delete(_ scope: Scope, rows: [String]) async throws {
        resident.withLock { $0.remove(scope.principal) }
        try await opening.collection().delete(principal: scope.principal.description, ids: rows)
    }

    public func remaining(_ scope: Scope, before generation: Int64, rows: [String]) async throws -> [String] {
        try await opening.collection().ids(
            principal: scope.principal.description, session: scope.session.description,
            generationBelow: generation, orIDs: rows, strong: true)
    }

    public func check() async throws {
        _ = try await opening.collection().statistics()
    }

    public func close() async {
        await client.close()
    }
}

/// Ranks candidates by their words, with statistics of these candidates alone: what a server that ranks by vectors leaves to us.
enum LexicalRerank {
    static func rank(
        _ rows: [MemoryRow], similarities: [String: Double], terms: [String], limit: Int
    ) -> IndexAnswer {
        let wanted = Set(terms)
        var index = LexicalIndex()
        var similar = BestFew<Int>(limit)
        for (place, row) in rows.enumerated() {
            _ = index.append(RowTerms(row, wanted: wanted))
            if let similarity = similarities[row.id], similarity > 0 { similar.offer(place, similarity) }
        }
        return index.answer(rows, to: terms, limit: limit, nearest: similar.entries.map(\.item)) { place in
            similarities[rows[place].id].flatMap { $0 > 0 ? $0 : nil }
        }
    }
}

extension MilvusRow {
    init(_ entry: IndexEntry, pool: String) {
        let row = entry.row
        self.init(
            id: row.id, pool: pool, principal: row.scope.principal.description,
            session: row.scope.session.description, sessionName: row.scope.sessionID,
            generation: row.generation, agent: row.agent,
            firstTurn: Int64(row.firstTurn), lastTurn: Int64(row.lastTurn), time: row.time,
            summary: row.summary, entities: TurnCoding.encode(row.entities), text: row.text,
            vector: entry.vector)
    }
}

extension MemoryRow {
    /// - Parameter scope: of the principal that was asked for.
    init(_ row: MilvusRow, _ scope: Scope) {
        self.init(
            id: row.id,
            scope: Scope(
                principal: scope.principal, session: Digest128(hexadecimal: row.session) ?? scope.session,
                sessionID: row.sessionName),
            generation: row.generation, agent: row.agent, firstTurn: Int(row.firstTurn),
            lastTurn: Int(row.lastTurn), time: row.time, summary: row.summary,
            entities: TurnCoding.decodeTexts(row.entities), text: row.text)
    }
}

extension ResidentMemories {
    init(_ rows: [MilvusRow], _ scope: Scope, dimension: Int) {
        self.init(dimension: dimension)
        for row in rows {
            let memory = MemoryRow(row, scope)
            _ = row.vector.withUnsafeBytes { append(memory, vector: $0, terms: RowTerms(memory)) }
        }
    }
}

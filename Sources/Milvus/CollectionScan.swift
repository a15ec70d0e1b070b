// Goes through everybody's rows: to rebuild a collection, and to forget a whole pool; never for an answer.
import MilvusProtocol

extension MilvusClient {
    /// Whether there is a collection of that name, whoever made it.
    public func hasCollection(_ name: String) async throws(MilvusError) -> Bool {
        try await describe(name) != nil
    }

    /// Opens a collection of memories to read it, whatever model its vectors are of.
    ///
    /// Throws `mismatch` where it is not there, or none of ours.
    public func openAny(_ name: String) async throws(MilvusError) -> MilvusCollection {
        guard let found = try await describe(name) else {
            throw failure(.mismatch, "open", "there is no collection \(name)")
        }
        guard let card = MemoryCollection.card(of: found) else {
            throw failure(.mismatch, "open", "the collection \(name) is not one of AgentPool's memories")
        }
        guard card.agentpool == MemoryCollection.Card.version else {
            throw failure(
                .mismatch, "open",
                "the collection \(name) has the schema of version \(card.agentpool), this program reads version "
                    + "\(MemoryCollection.Card.version)")
        }
        try await load(name)
        return MilvusCollection(
            client: self,
            collection: MemoryCollection(
                name: name, embeddingModel: card.model, dimension: card.dimension,
                maxTextBytes: card.textBytes),
            searchesText: false)
    }
}

extension MilvusCollection {
    /// Rows whose ids are in a range, of everybody, without their vectors; `limit` at most, and whether there are more. Strong.
    public func rows(in range: RowIDs, limit: Int) async throws(MilvusError) -> MilvusPage {
        let most = min(max(limit, 1), Self.largestAnswer)
        let columns = try await query(
            .rows(in: range), MemoryCollection.Field.scalars.map(\.rawValue), limit: most + 1, strong: true)
        guard let rows = RowCoding.rows(columns, dimension: collection.dimension) else {
            throw client.failure(.unavailable, "Query", "the answer's columns don't fit together")
        }
        return MilvusPage(rows: Array(rows.prefix(most)), hasMore: rows.count > most)
    }

    /// Ids of rows of a pool, whoever's they are; `limit` and 500 at most. Strong, as it verifies what was forgotten.
    public func ids(pool: String, limit: Int) async throws(MilvusError) -> [String] {
        let name = MemoryCollection.Field.id.rawValue
        let columns = try await query(
            .rows(ofPool: pool), [name], limit: min(max(limit, 1), Self.filterIDs), strong: true)
        return columns.first { $0.fieldName == name }?.scalars.stringData.data ?? []
    }

    /// Deletes the pool's rows of these ids. Ids that are not there, or another pool's, do nothing.
    public func delete(pool: String, ids: [String]) async throws(MilvusError) {
        for start in stride(from: 0, to: ids.count, by: Self.filterIDs) {
            let some = Array(ids[start..<min(start + Self.filterIDs, ids.count)])
            try await delete(Filter.rows(ofPool: pool, ids: some))
        }
    }
}

/// Ids that begin with some hexadecimal digits: a session's digest stands at the front of each, so they are spread evenly.
public struct RowIDs: Hashable, Sendable, CustomStringConvertible {
    public let prefix: String

    private init(prefix: String) {
        self.prefix = prefix
    }

    /// Sixteen ranges that hold every id together, the last one first, as a stack has them.
    public static var all: [RowIDs] { RowIDs(prefix: "").parts }

    /// Sixteen smaller ranges that hold the same ids; of a prefix as long as a digest there are none.
    public var parts: [RowIDs] {
        prefix.count < 32 ? "fedcba9876543210".map { RowIDs(prefix: prefix + String($0)) } : []
    }

    public var description: String { prefix }
}

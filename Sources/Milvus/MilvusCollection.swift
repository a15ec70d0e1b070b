/// A collection that is open: writes and deletes memories, always a principal's.
import MilvusProtocol

/// Any number of tasks may use it at once. Where the server has unloaded the collection (milvus-lite does by restarting), the
/// call that finds out has it loaded again.
///
/// What was written shows at once in reads that are `strong`. In others, on Milvus 2.3.5, it shows after 0.2 to 0.4 s,
/// what was deleted or replaced too; milvus-lite shows it at once in both. A strong read costs 2.3.5 about 0.2 s, another
/// one 3-4 ms: so what verifies a write is strong, and what recalls isn't.
public final class MilvusCollection: Sendable {
    /// The server makes BM25 rankings of the texts. Decided when the collection was created.
    public let searchesText: Bool
    public let collection: MemoryCollection
    let client: MilvusClient

    /// Bytes of rows in a message: far below the 64 MiB that servers take, and near what their queues do.
    static let messageBytes = 4 << 20
    static let messageRows = 1000
    /// Ids in a filter.
    static let filterIDs = 500

    init(client: MilvusClient, collection: MemoryCollection, searchesText: Bool) {
        self.client = client
        self.collection = collection
        self.searchesText = searchesText
    }

    /// Writes rows under their ids; one that is there is replaced. Rows that don't fit in one message are written in several, in
    /// order: after an error the first ones may be there, and writing all again does no harm.
    public func upsert(_ rows: [MilvusRow]) async throws(MilvusError) {
        for row in rows {
            if let fault = RowCoding.fault(row, in: collection) { throw invalid("Upsert", fault) }
        }
        for batch in RowCoding.batches(rows, bytes: Self.messageBytes, count: Self.messageRows) {
            var request = Wire.Upsert()
            request.collectionName = collection.name
            request.fieldsData = RowCoding.columns(batch, in: collection)
            request.numRows = UInt32(batch.count)
            let reply = try await perform(.upsert, request, within: client.configuration.writeDeadline)
            guard reply.errIndex.isEmpty else {
                throw client.failure(
                    .rejected(Failure.Code.unexpected), "Upsert", "\(reply.errIndex.count) rows were refused")
            }
        }
    }

    /// Deletes the principal's rows of these ids. Ids that are not there, or somebody else's, do nothing.
    public func delete(principal: String, ids: [String]) async throws(MilvusError) {
        for start in stride(from: 0, to: ids.count, by: Self.filterIDs) {
            let some = Array(ids[start..<min(start + Self.filterIDs, ids.count)])
            try await delete(Filter.rows(of: principal, ids: some))
        }
    }

    /// Deletes everybody's rows whose last turn was before `time` (milliseconds since 1970): the retention.
    public func deleteOlder(than time: Int64) async throws(MilvusError) {
        try await delete(Filter.rows(before: time))
    }

    /// The server looks for the rows before it deletes them, with a strong read: none that is written escapes. Milvus
    /// takes such filters since 2.3.2; older ones refuse.
    func delete(_ filter: Filter) async throws(MilvusError) {
        var request = Wire.Delete()
        request.collectionName = collection.name
        request.expr = filter.description
        request.consistencyLevel = .strong
        _ = try await perform(.delete, request, within: client.configuration.writeDeadline)
    }

    public func statistics() async throws(MilvusError) -> MilvusStatistics {
        var request = Wire.Statistics()
        request.collectionName = collection.name
        let reply = try await perform(.statistics, request, within: client.configuration.readDeadline)
        let rows = reply.stats.first { $0.key == "row_count" }.flatMap { Int($0.value) } ?? 0
        return MilvusStatistics(rowsRoughly: rows, searchesText: searchesText)
    }

    /// Has the server seal and store what it holds in memory. It does so by itself; for tests and measurements.
    public func flush() async throws(MilvusError) {
        var request = Wire.Flush()
        request.collectionNames = [collection.name]
        _ = try await perform(.flush, request, within: client.configuration.writeDeadline)
    }

    /// Makes the call; where the server says that the collection isn't loaded, loads it and makes the call once more.
    func perform<Request, Reply>(
        _ call: MilvusCall<Request, Reply>, _ request: Request, within deadline: Duration
    ) async throws(MilvusError) -> Reply {
        do {
            return try await client.call(call, request, within: deadline)
        } catch  where error.kind == .rejected(Failure.Code.collectionNotLoaded) {
            try await client.load(collection.name)
            return try await client.call(call, request, within: deadline)
        }
    }

    /// What the server would refuse, refused before it is asked.
    func invalid(_ operation: String, _ message: String) -> MilvusError {
        client.failure(.rejected(Failure.Code.invalidParameter), operation, message)
    }
}

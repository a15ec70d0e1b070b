// Searches and reads of a collection, each confined to a principal by its filter.
import Foundation
import MilvusProtocol
import SwiftProtobuf

extension MilvusCollection {
    /// The most rows that one answer may have; Milvus' own bound is one more.
    public static let largestAnswer = 16_383

    /// The principal's rows whose vectors are nearest, the nearest first, with their cosine similarity. Bounded staleness.
    public func search(
        principal: String, vector: [Float], limit: Int
    ) async throws(MilvusError) -> [MilvusHit] {
        if let fault = RowCoding.fault(vector, in: collection) { throw invalid("Search", fault) }
        var placeholder = Wire.Placeholder()
        placeholder.type = .placeholderFloatVector
        placeholder.values = [vector.withUnsafeBytes { Data($0) }]
        let few = bounded(limit)
        // HNSW looks at `ef` candidates, which may not be fewer than the hits; other indexes ignore it.
        return try await search(
            principal, .vector, placeholder, metric: "COSINE", parameters: #"{"ef": \#(max(64, few * 2))}"#,
            limit: few)
    }

    /// The principal's rows whose texts answer the words best, the best first, with their BM25 score. Bounded staleness.
    ///
    /// Milvus' statistics are the whole collection's: a ranking depends a little on what others remember, its rows
    /// don't. Throws `unsupported` where `searchesText` is false.
    public func search(
        principal: String, text: String, limit: Int
    ) async throws(MilvusError) -> [MilvusHit] {
        guard searchesText else {
            throw client.failure(.unsupported, "Search", "the collection has no text search")
        }
        guard text.contains(where: { !$0.isWhitespace }) else { return [] }
        var placeholder = Wire.Placeholder()
        placeholder.type = .placeholderVarChar
        placeholder.values = [Data(text.utf8)]
        return try await search(
            principal, .words, placeholder, metric: "BM25", parameters: "{}", limit: bounded(limit))
    }

    private func search(
        _ principal: String, _ field: MemoryCollection.Field, _ placeholder: Wire.Placeholder, metric: String,
        parameters: String, limit: Int
    ) async throws(MilvusError) -> [MilvusHit] {
        var placeholder = placeholder
        placeholder.tag = "$0"
        var placeholders = Wire.Placeholders()
        placeholders.placeholders = [placeholder]
        var request = Wire.Search()
        request.collectionName = collection.name
        request.dsl = Filter.rows(of: principal).description
        request.dslType = .boolExprV1
        do {
            request.placeholderGroup = try placeholders.serializedData()
        } catch {
            throw invalid("Search", "the query can't be encoded")
        }
        request.outputFields = MemoryCollection.Field.scalars.map(\.rawValue)
        request.searchParams = [
            Wire.Pair("anns_field", field.rawValue), Wire.Pair("topk", "\(limit)"),
            Wire.Pair("metric_type", metric), Wire.Pair("params", parameters),
            Wire.Pair("round_decimal", "-1"), Wire.Pair("ignore_growing", "false"),
        ]
        request.nq = 1
        request.consistencyLevel = .bounded
        request.guaranteeTimestamp = Self.boundedTimestamp
        let results = try await perform(.search, request, within: client.configuration.readDeadline).results
        // Without a hit some servers leave the columns out.
        guard !results.ids.strID.data.isEmpty else { return [] }
        guard
            let rows = RowCoding.rows(
                results.fieldsData, ids: results.ids.strID.data, dimension: collection.dimension),
            rows.count == results.scores.count
        else { throw malformed("Search") }
        return zip(rows, results.scores).compactMap { row, score in
            // A vector of zeros has no direction, and so no similarity. What the filter let through wrongly isn't handed on.
            guard score.isFinite, row.principal == principal else { return nil }
            // milvus-lite gives BM25 as a negative distance; a score of words is never below zero.
            return MilvusHit(row: row, score: Double(field == .words ? abs(score) : score))
        }
    }

    /// The principal's rows, `limit` at most, and whether there are more.
    /// - Parameter strong: sees all that was written before; else of late writes some may be missing.
    public func rows(
        principal: String, withVectors: Bool, limit: Int, strong: Bool
    ) async throws(MilvusError) -> MilvusPage {
        let most = bounded(limit)
        var fields = MemoryCollection.Field.scalars
        if withVectors { fields.append(.vector) }
        let columns = try await query(
            .rows(of: principal), fields.map(\.rawValue), limit: most + 1, strong: strong)
        guard let rows = RowCoding.rows(columns, dimension: collection.dimension) else {
            throw malformed("Query")
        }
        return MilvusPage(rows: Array(rows.prefix(most)), hasMore: rows.count > most)
    }

    /// How many rows the principal has. Strong, as it verifies what was written or forgotten.
    public func count(principal: String) async throws(MilvusError) -> Int {
        let columns = try await query(.rows(of: principal), ["count(*)"], limit: nil, strong: true)
        guard let count = columns.first?.scalars.longData.data.first else { throw malformed("Query") }
        return Int(count)
    }

    /// The ids of the principal's rows that are of `session` and older than a generation, and of those among `ids` that are
    /// there; `largestAnswer` at most, so who deletes them asks again until none is left.
    public func ids(
        principal: String, session: String, generationBelow: Int64, orIDs ids: [String], strong: Bool
    ) async throws(MilvusError) -> [String] {
        var found: Set<String> = []
        // Without ids there is one question all the same.
        for start in stride(from: 0, to: max(ids.count, 1), by: Self.filterIDs) {
            let some = Array(ids[start..<min(start + Self.filterIDs, ids.count)])
            let filter = Filter.rows(
                of: principal, session: session, generationBelow: generationBelow, orIDs: some)
            let columns = try await query(
                filter, [MemoryCollection.Field.id.rawValue], limit: Self.largestAnswer, strong: strong)
            let column = columns.first { $0.fieldName == MemoryCollection.Field.id.rawValue }
            found.formUnion(column?.scalars.stringData.data ?? [])
        }
        return Array(found)
    }

    func query(
        _ filter: Filter, _ fields: [String], limit: Int?, strong: Bool
    ) async throws(MilvusError) -> [Wire.FieldData] {
        var request = Wire.Query()
        request.collectionName = collection.name
        request.expr = filter.description
        request.outputFields = fields
        if let limit { request.queryParams = [Wire.Pair("limit", "\(limit)")] }
        request.consistencyLevel = strong ? .strong : .bounded
        request.guaranteeTimestamp = strong ? 0 : Self.boundedTimestamp
        return try await perform(.query, request, within: client.configuration.readDeadline).fieldsData
    }

    /// What clients send for bounded staleness, beside the level; 0 stands for strong.
    private static var boundedTimestamp: UInt64 { 2 }

    private func bounded(_ limit: Int) -> Int { min(max(limit, 1), Self.largestAnswer) }

    private func malformed(_ operation: String) -> MilvusError {
        client.failure(.unavailable, operation, "the answer's columns don't fit together")
    }
}

/// L3 on SQLite: memory rows with their vectors and terms. Those of the principals in use are held in L1 and searched there.
import Foundation
import GRDB
import Synchronization

public struct EmbeddedIndex: MemoryIndex {
    /// Bytes of memories in L1, and those of one principal, roughly. One that has more is searched on disk.
    private static let residentLimit = 64 << 20
    private static let residentPrincipalLimit = 8 << 20

    public let embedding: EmbeddingSpace
    public var textSearch: TextSearch? { .store }
    private let database: EmbeddedDatabase
    private let resident = Resident(limit: EmbeddedIndex.residentLimit)

    private final class Resident: Sendable {
        let cache: Mutex<CoherentCache<ResidentMemories>>

        init(limit: Int) {
            cache = Mutex(CoherentCache(limit: limit))
        }
    }

    init(database: EmbeddedDatabase, embedding: EmbeddingSpace) {
        self.database = database
        self.embedding = embedding
    }

    public func upsert(_ entries: [IndexEntry]) async throws {
        for entry in entries where entry.vector.count != embedding.dimension {
            throw DatabaseError(
                message: "a vector has \(entry.vector.count) dimensions, the index \(embedding.dimension)")
        }
        let prepared = try entries.map { try PreparedRow($0) }
        try await database.write { db in
            for row in prepared { try row.write(db) }
        } afterwards: { [resident] written in
            resident.cache.withLock { cache in
                for row in prepared {
                    cache.changed(row.row.scope.principal) { memories in
                        guard written != nil, row.add(to: &memories) else { return nil }
                        return memories.bytes
                    }
                }
            }
        }
    }

    public func search(_ scope: Scope, _ query: IndexQuery) async throws -> IndexAnswer {
        let (known, mark) = resident.cache.withLock { cache in
            (cache.value(for: scope.principal), cache.mark(of: scope.principal))
        }
        if let known { return known.search(query) }
        let dimension = embedding.dimension
        let (answer, read) = try await database.read { db -> (IndexAnswer, ResidentMemories?) in
            guard let search = try EmbeddedSearch(db, scope) else { return (IndexAnswer(hits: []), nil) }
            let totals = try search.totals()
            let size = ResidentMemories.estimatedBytes(
                rows: totals.rows, terms: totals.terms, dimension: dimension)
            guard size <= Self.residentPrincipalLimit else {
                return (try search.answer(query, totals: totals), nil)
            }
            let memories = try search.resident(dimension: dimension)
            return (memories.search(query), memories)
        }
        if let read {
            resident.cache.withLock { cache in
                cache.keep(for: scope.principal, since: mark, beginning: read) { $0.bytes }
            }
        }
        return answer
    }

    /// Its searches read what they need into L1 themselves.
    public func warm(_ scope: Scope, generation: Int64) async throws {}

    public func delete(_ scope: Scope, rows: [String]) async throws {
        try await database.write { db in
            guard let principal = try PrincipalRecord.find(db, scope.principal) else { return }
            for row in rows { try StoredRow.delete(db, id: row, principal: principal.id) }
        } afterwards: { [resident] _ in
            resident.cache.withLock { $0.changed(scope.principal) }
        }
    }

    public func remaining(_ scope: Scope, before generation: Int64, rows: [String]) async throws -> [String] {
        try await database.read { db in
            guard let principal = try PrincipalRecord.find(db, scope.principal) else { return [] }
            let older = try db.cachedStatement(
                sql: "SELECT id FROM memory_row WHERE principal = ? AND session = ? AND generation < ?")
            var found = Set(
                try String.fetchAll(older, arguments: [principal.id, scope.session.blob, generation]))
            let named = try db.cachedStatement(
                sql: "SELECT id FROM memory_row WHERE id = ? AND principal = ?")
            for row in rows {
                if let id = try String.fetchOne(named, arguments: [row, principal.id]) { found.insert(id) }
            }
            return found.sorted()
        }
    }

    public func check() async throws {
        try await database.read { db in
            _ = try Row.fetchOne(db, sql: "SELECT 1 FROM memory_row LIMIT 1")
        }
    }

    public func close() async {
        await database.close()
    }
}

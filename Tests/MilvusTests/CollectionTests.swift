/// Holds the collection's calls against both real servers.
import Foundation
import Testing

@testable import Milvus

/// One server of each kind is shared, and one of the tests kills it: they run one after the other.
@Suite(
    "Milvus", .serialized,
    .enabled(if: !ServerKind.available.isEmpty, "neither MILVUS_LITE nor MILVUS_STANDALONE names a server"))
struct ServerSuite {}

@Suite("Which servers the tests have")
struct AvailabilityTests {
    @Test(
        "milvus-lite takes part",
        .enabled(if: ServerKind.lite.program != nil, "MILVUS_LITE names no milvus-lite"))
    func lite() {}

    @Test(
        "Milvus 2.3.5 takes part",
        .enabled(if: ServerKind.standalone.program != nil, "MILVUS_STANDALONE names no bin/milvus"))
    func standalone() {}
}

extension ServerSuite {
    @Suite("A collection")
    struct CollectionTests {
        @Test("is created by opening it and opened again as it is", arguments: ServerKind.available)
        func opens(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, client in
                try await collection.upsert([row("1")])
                let again = try await client.open(collection.collection)
                #expect(again.searchesText == collection.searchesText)
                #expect(try await again.count(principal: "p1") == 1)
                #expect(collection.searchesText == (kind == .lite))
                #expect(try await client.version().contains("lite"))
            }
        }

        @Test(
            "of another model, dimension or text size is refused with what to do",
            arguments: ServerKind.available)
        func mismatch(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, client in
                var model = collection.collection
                model.embeddingModel = "model-b"
                var dimension = collection.collection
                dimension.dimension = 16
                let first = try await milvusError { _ = try await client.open(model) }
                #expect(first.kind == .mismatch)
                #expect(
                    first.message.hasSuffix(
                        "it holds vectors of model-a (8 dimensions), not of model-b (8 dimensions); "
                            + "name another collection, and run `agentpool reindex` to copy this one into it")
                )
                let second = try await milvusError { _ = try await client.open(dimension) }
                #expect(second.kind == .mismatch)
                #expect(second.message.contains("not of model-a (16 dimensions)"))
            }
        }

        @Test("is opened by several workers at once", arguments: ServerKind.available)
        func racingCreators(kind: ServerKind) async throws {
            let server = try await MilvusServers.server(kind)
            let collection = newCollection()
            let opened = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        try await withClient(server.configuration()) { client in
                            let mine = try await client.open(collection)
                            try await mine.upsert([row("\(UUID())")])
                            return mine.searchesText
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(opened == Array(repeating: kind == .lite, count: 6))
            try await withClient(server.configuration()) { client in
                #expect(try await client.open(collection).count(principal: "p1") == 6)
                try await client.drop(collection.name)
                try await client.drop(collection.name)
            }
        }

        @Test("writes a row under its id once, however often", arguments: ServerKind.available)
        func upsertIsIdempotent(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                try await collection.upsert([row("1", text: "one"), row("2"), row("1", text: "two")])
                try await collection.upsert([row("1", text: "three")])
                let page = try await collection.rows(
                    principal: "p1", withVectors: true, limit: 10, strong: true)
                #expect(page.rows.map(\.id).sorted() == ["1", "2"])
                #expect(page.rows.first { $0.id == "1" }?.text == "three")
                #expect(page.rows.allSatisfy { $0.vector.count == 8 })
                #expect(!page.hasMore)
                #expect(try await collection.count(principal: "p1") == 2)
            }
        }

        @Test("rows of a pool are found and deleted by it, whoever's", arguments: ServerKind.available)
        func poolsApart(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                try await collection.upsert([
                    row("1", in: "a", of: "p1"), row("2", in: "a", of: "p2"), row("3", in: "b", of: "p1"),
                ])
                #expect(try await Set(collection.ids(pool: "a", limit: 10)) == ["1", "2"])
                #expect(try await collection.ids(pool: "a", limit: 1).count == 1)
                try await collection.delete(pool: "a", ids: ["1", "2", "3", "4"])
                #expect(try await collection.ids(pool: "a", limit: 10) == [])
                #expect(try await collection.ids(pool: "b", limit: 10) == ["3"])
            }
        }

        @Test("gives back every field as it was", arguments: ServerKind.available)
        func fieldsComeBack(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                let odd = "a \"quoted\" \\ back'slash {brace} [x] %\n\r\t\0\u{1}\u{7f} é 漢字 👩‍👩‍👧 \\n \\x41"
                let one = MilvusRow(
                    id: "id1", pool: "pool", principal: "p1", session: "s1", sessionName: odd,
                    generation: .max, agent: odd,
                    firstTurn: -1, lastTurn: .min, time: 1_800_000_000_000, summary: odd, entities: odd,
                    text: odd,
                    vector: [1, -2.5, 0, 1e-20, 3e20, 0.1, -0, 7])
                let empty = MilvusRow(
                    id: "id2", pool: "", principal: "p1", session: "", sessionName: "", generation: 0,
                    agent: "",
                    firstTurn: 0, lastTurn: 0, time: 0, summary: "", entities: "", text: "", vector: unit(0))
                try await collection.upsert([one, empty])
                let page = try await collection.rows(
                    principal: "p1", withVectors: true, limit: 10, strong: true)
                #expect(Set(page.rows) == [one, empty])
            }
        }

        @Test("takes ids and principals that hold anything as they are", arguments: ServerKind.available)
        func oddIDs(kind: ServerKind) async throws {
            let odd = [
                "\"", "\\", "'", "\\\"", "{}", "a\nb", "a\r\nb", "\t", "\0", "\u{1}", "é😀", "%", "\\n",
                "\\x41",
                "\" or id != \"", "\\\" or principal != \\\"", "x\"] or id in [\"other",
            ]
            try await withCollection(kind) { collection, _ in
                try await collection.upsert([row("other", of: "p2", session: "s2")])
                try await collection.upsert(odd.enumerated().map { row($0.element, of: "p\($0.element)") })
                for id in odd {
                    let principal = "p" + id
                    #expect(try await collection.count(principal: principal) == 1, "\(id.debugDescription)")
                    let found = try await collection.ids(
                        principal: principal, session: "none", generationBelow: 0, orIDs: odd + ["other"],
                        strong: true)
                    #expect(found == [id], "\(id.debugDescription)")
                }
                for id in odd {
                    try await collection.delete(principal: "p" + id, ids: [id, "other"])
                    #expect(try await collection.count(principal: "p" + id) == 0, "\(id.debugDescription)")
                }
                #expect(try await collection.count(principal: "p2") == 1)
            }
        }

        @Test("refuses a row over a bound before the server sees it", arguments: ServerKind.available)
        func bounds(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                let long = try await milvusError {
                    try await collection.upsert([row("1", text: String(repeating: "é", count: 32_768))])
                }
                #expect(long.kind == .rejected(1100))
                #expect(long.message == "a row's text has 65536 bytes, more than 65535")
                let wide = try await milvusError { try await collection.upsert([row("1", vector: [1, 2])]) }
                #expect(wide.message == "a vector has 2 dimensions, the collection 8")
                let notNumber = try await milvusError {
                    try await collection.upsert([row("1", vector: Array(repeating: .nan, count: 8))])
                }
                #expect(notNumber.message == "a vector holds what is not a number")
            }
        }

        @Test("takes texts of 65535 bytes, and many of them in one call", arguments: ServerKind.available)
        func largeTexts(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                let text = String(repeating: "漢", count: 21_845)
                #expect(text.utf8.count == 65_535)
                try await collection.upsert((0..<150).map { row("\($0)", text: text) })
                let page = try await collection.rows(
                    principal: "p1", withVectors: false, limit: 150, strong: true)
                #expect(page.rows.count == 150)
                #expect(page.rows.allSatisfy { $0.text == text && $0.vector.isEmpty })
            }
        }

        @Test(
            "takes 500 rows in one call and gives them back in pages that say so",
            arguments: ServerKind.available)
        func manyRows(kind: ServerKind) async throws {
            try await withCollection(kind, dimension: 384) { collection, _ in
                let rows = (0..<500).map { number in
                    row(
                        "\(number)", text: "row \(number)",
                        vector: (0..<384).map { _ in Float.random(in: -1...1) })
                }
                try await collection.upsert(rows)
                #expect(try await collection.count(principal: "p1") == 500)
                let part = try await collection.rows(
                    principal: "p1", withVectors: true, limit: 499, strong: true)
                #expect(part.rows.count == 499)
                #expect(part.hasMore)
                let all = try await collection.rows(
                    principal: "p1", withVectors: true, limit: 500, strong: true)
                #expect(Set(all.rows) == Set(rows))
                #expect(!all.hasMore)
                try await collection.flush()
                // 2.3.5 counts what is stored, which goes on after the flush has answered.
                let statistics = try await eventually {
                    try await collection.statistics()
                } until: {
                    $0.rowsRoughly == 500
                }
                #expect(statistics.rowsRoughly == 500)
                try await collection.delete(principal: "p1", ids: rows.map(\.id))
                #expect(try await collection.count(principal: "p1") == 0)
            }
        }

        @Test("keeps one row of many concurrent writes of one id", arguments: ServerKind.available)
        func concurrentUpserts(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                for round in 0..<3 {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for writer in 0..<16 {
                            group.addTask {
                                try await collection.upsert([row("same", text: "\(round) \(writer)")])
                            }
                        }
                        try await group.waitForAll()
                    }
                    let page = try await collection.rows(
                        principal: "p1", withVectors: false, limit: 100, strong: true)
                    #expect(page.rows.count == 1)
                    #expect(page.rows.first?.text.hasPrefix("\(round) ") == true)
                }
                #expect(try await collection.count(principal: "p1") == 1)
            }
        }

        @Test("deletes rows of the principal and of nobody else", arguments: ServerKind.available)
        func deletes(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                try await collection.upsert([
                    row("1"), row("2", generation: 2), row("3", session: "s2"), row("4", of: "p2"),
                ])
                try await collection.delete(principal: "p2", ids: ["1", "2", "3"])
                #expect(try await collection.count(principal: "p1") == 3)
                let remaining = try await collection.ids(
                    principal: "p1", session: "s1", generationBelow: 2, orIDs: ["3", "4", "5"], strong: true)
                #expect(remaining.sorted() == ["1", "3"])
                try await collection.delete(principal: "p1", ids: remaining)
                let none = try await collection.ids(
                    principal: "p1", session: "s1", generationBelow: 2, orIDs: ["1", "3"], strong: true)
                #expect(none.isEmpty)
                #expect(try await collection.count(principal: "p1") == 1)
                #expect(try await collection.count(principal: "p2") == 1)
            }
        }

        @Test("loses what is older than the retention, whoever's it is", arguments: ServerKind.available)
        func retention(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                try await collection.upsert([
                    row("1", time: 99), row("2", time: 100), row("3", of: "p2", time: -5),
                    row("4", of: "p2", time: 101),
                ])
                try await collection.deleteOlder(than: 100)
                let mine = try await collection.rows(
                    principal: "p1", withVectors: false, limit: 9, strong: true)
                let others = try await collection.rows(
                    principal: "p2", withVectors: false, limit: 9, strong: true)
                #expect(mine.rows.map(\.id) == ["2"])
                #expect(others.rows.map(\.id) == ["4"])
            }
        }
    }
}

/// Holds searches by vector and by text against both real servers.
import Testing

@testable import Milvus

extension ServerSuite {
    @Suite("A search")
    struct SearchTests {
        @Test("finds the nearest rows first, of the principal only", arguments: ServerKind.available)
        func vectors(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                try await collection.upsert([
                    row("near", vector: [1, 0.1, 0, 0, 0, 0, 0, 0]),
                    row("far", vector: [0.1, 1, 0, 0, 0, 0, 0, 0]),
                    row("opposite", vector: [-2, 0, 0, 0, 0, 0, 0, 0]),
                    row("others", of: "p2", vector: unit(0)),
                ])
                let hits = try await eventually {
                    try await collection.search(principal: "p1", vector: unit(0), limit: 10)
                } until: {
                    $0.count == 3
                }
                #expect(hits.map(\.row.id) == ["near", "far", "opposite"])
                #expect(abs(hits[0].score - 0.995) < 0.001)
                #expect(abs(hits[2].score + 1) < 0.001)
                #expect(hits[0].row.text == "hello")
                let two = try await collection.search(principal: "p1", vector: unit(0), limit: 2)
                #expect(two.map(\.row.id) == ["near", "far"])
                #expect(try await collection.search(principal: "nobody", vector: unit(0), limit: 2).isEmpty)
                #expect(
                    try await collection.search(principal: "p1\" or \"\" == \"", vector: unit(0), limit: 2)
                        .isEmpty)
            }
        }

        @Test("finds a principal's few rows among many of others", arguments: ServerKind.available)
        func needle(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                try await collection.upsert((0..<3000).map { row("o\($0)", of: "p\($0 % 50 + 2)") })
                try await collection.upsert([row("1"), row("2"), row("3")])
                try await collection.flush()
                let hits = try await eventually {
                    try await collection.search(principal: "p1", vector: unit(3), limit: 10)
                } until: {
                    $0.count == 3
                }
                #expect(Set(hits.map(\.row.id)) == ["1", "2", "3"])
            }
        }

        @Test("by text ranks rows by their words, where the server can", arguments: ServerKind.available)
        func texts(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                try await collection.upsert([
                    row("1", text: "the quantum engine broke down"), row("2", text: "an engine for boats"),
                    row("3", text: "nothing of the kind"), row("4", of: "p2", text: "quantum engine"),
                    row("5", text: "\"quoted\" \\ {brace} \0 😀 漢字"), row("6", text: ""),
                ])
                guard collection.searchesText else {
                    let error = try await milvusError {
                        _ = try await collection.search(principal: "p1", text: "engine", limit: 5)
                    }
                    #expect(error.kind == .unsupported)
                    return
                }
                let hits = try await collection.search(principal: "p1", text: "quantum engine", limit: 5)
                #expect(hits.map(\.row.id) == ["1", "2"])
                #expect(hits[0].score > hits[1].score)
                #expect(hits[1].score > 0)
                #expect(try await collection.search(principal: "p1", text: "absent", limit: 5).isEmpty)
                #expect(try await collection.search(principal: "p1", text: " \n", limit: 5).isEmpty)
                let odd = try await collection.search(
                    principal: "p1", text: "\"quoted\" \\ {x} \0 ' 😀", limit: 5)
                #expect(odd.map(\.row.id) == ["5"])
            }
        }

        @Test("of a wrong dimension is refused", arguments: ServerKind.available)
        func wrongDimension(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                let error = try await milvusError {
                    _ = try await collection.search(principal: "p1", vector: [1], limit: 1)
                }
                #expect(error.kind == .rejected(1100))
            }
        }

        @Test("sees a write soon, a strong read at once", arguments: ServerKind.available)
        func visibility(kind: ServerKind) async throws {
            try await withCollection(kind) { collection, _ in
                for number in 1...5 {
                    try await collection.upsert([row("\(number)")])
                    #expect(
                        try await collection.rows(principal: "p1", withVectors: false, limit: 9, strong: true)
                            .rows.count
                            == number)
                }
                try await collection.delete(principal: "p1", ids: ["1", "2"])
                let left = try await collection.rows(
                    principal: "p1", withVectors: false, limit: 9, strong: true)
                #expect(left.rows.map(\.id).sorted() == ["3", "4", "5"])
                let soon = try await eventually {
                    try await collection.rows(principal: "p1", withVectors: false, limit: 9, strong: false)
                } until: {
                    $0.rows.count == 3
                }
                #expect(soon.rows.map(\.id).sorted() == ["3", "4", "5"])
            }
        }
    }
}

/// Asks until the answer is right, for ten seconds.
func eventually<Answer>(
    _ ask: () async throws -> Answer, until isRight: (Answer) -> Bool
) async throws -> Answer {
    let end = ContinuousClock.now + .seconds(10)
    while true {
        let answer = try await ask()
        if isRight(answer) || ContinuousClock.now > end { return answer }
        try await Task.sleep(for: .milliseconds(20))
    }
}

import Memory
import PoolAPI
import Testing

@testable import Agent

@Suite struct EmbeddingTests {
    private static let ngrams = NgramEmbedder()

    private static func similarity(_ first: String, _ second: String) -> Float {
        zip(ngrams.vector(for: first), ngrams.vector(for: second)).reduce(0) { $0 + $1.0 * $1.1 }
    }

    @Test(
        "The built-in embedding has unit length for any text",
        arguments: [
            "", " ", "!?", "a", "my locker code is 4711", "我的储物柜密码是4711", "the of and",
            String(repeating: "word ", count: 5000),
        ])
    func unitLength(text: String) {
        let vector = Self.ngrams.vector(for: text)
        #expect(vector.count == 512)
        #expect(abs(vector.reduce(0) { $0 + $1 * $1 } - 1) < 1e-4)
    }

    @Test(
        "Texts about the same are closer than texts about something else",
        arguments: [
            ("what is my locker code?", "My locker code is 4711.", "The meeting with Anna is on Friday."),
            ("when do I meet Anna?", "The meeting with Anna is on Friday.", "My locker code is 4711."),
            ("parking spots", "I parked at spot B2.", "My dog is called Rex."),
            ("我的储物柜密码是什么？", "我的储物柜密码是4711。", "我喜欢喝绿茶。"),
            ("你喜欢什么茶", "我喜欢喝绿茶。", "会议在星期五举行。"),
        ])
    func closer(query: String, near: String, far: String) {
        #expect(Self.similarity(query, near) > Self.similarity(query, far) + 0.15)
    }

    @Test("Spelling, case and plural matter little, unrelated texts have nothing in common")
    func robust() {
        #expect(Self.similarity("LOCKER CODES", "locker code") > 0.99)
        #expect(Self.similarity("organisation chart", "organization charts") > 0.5)
        #expect(abs(Self.similarity("the locker code", "banana bread recipe")) < 0.2)
    }

    @Test("The vectors are the same in every process: those of this text are known")
    func deterministic() {
        let vector = Self.ngrams.vector(for: "My locker code is 4711. 储物柜")
        let digest = vector.reduce(UInt64(0)) { ($0 &* 31) &+ UInt64($1.bitPattern) }
        #expect(digest == 916_997_989_348_701_338)
    }

    @Test("Another dimension gives vectors of that dimension")
    func dimension() {
        #expect(NgramEmbedder(dimension: 64).vector(for: "hello").count == 64)
        #expect(NgramEmbedder(dimension: 64).embedder.dimension == 64)
    }
}

@Suite struct OpenAIEmbeddingTests {
    private let server: StandInModelServer

    init() throws {
        server = try StandInModelServer.shared.get()
    }

    private func embeddings(_ model: String, dimensions: Int? = 3) throws -> OpenAIEmbeddings {
        var entry = try server.spec(model: model).models[0]
        entry.dimensions = dimensions
        entry.parameters = [:]
        return try OpenAIEmbeddings(entry, field: "spec.models[1]", http: server.http, secrets: { _ in nil })
    }

    @Test("Texts are sent in batches, and the vectors come back in order and of unit length")
    func batches() async throws {
        let name = StandInModelServer.unique("fine")
        let vectors = try await embeddings(name).embed((1...70).map { String(repeating: "x", count: $0) })
        // The stand-in's vector of a text of n letters is (n, 1, 0).
        #expect(vectors.map { ($0[0] / $0[1]).rounded() } == (1...70).map(Float.init))
        #expect(vectors.allSatisfy { abs($0.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5 })
        let requests = try await server.seen(name).requests
        #expect(requests.count == 3)
        #expect(requests.allSatisfy { $0.path == "/v1/embeddings" && $0.body["encoding_format"] == "float" })
    }

    @Test("Vectors are put in the order of their indices")
    func shuffled() async throws {
        let vectors = try await embeddings("shuffled").embed(["a", "bb", "ccc"])
        #expect(vectors.map { ($0[0] / $0[1]).rounded() } == [1, 2, 3])
    }

    @Test("No texts ask nothing of the server")
    func none() async throws {
        let name = StandInModelServer.unique("fine")
        #expect(try await embeddings(name).embed([]).isEmpty)
        #expect(try await server.seen(name).requests.isEmpty)
    }

    @Test(
        "Vectors of another length, and missing ones, are errors that name the field",
        arguments: ["wrong-dimension", "missing"])
    func malformed(mode: String) async throws {
        let model = try embeddings(mode)
        let error = await #expect(throws: ModelError.self) { try await model.embed(["a", "b"]) }
        #expect(error?.kind == .malformed)
        #expect(error?.message.contains("spec.models[1].dimensions") == true)
    }

    @Test("An embedding model without a dimension is refused")
    func noDimension() throws {
        let error = #expect(throws: ModelError.self) { try embeddings("fine", dimensions: nil) }
        #expect(error?.message.contains("spec.models[1].dimensions") == true)
    }
}

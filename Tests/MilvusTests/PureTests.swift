/// Holds the parts that need no server: filters, batches, versions, cards, and the rules of repeating and replacing.
import GRPCCore
import MilvusProtocol
import Testing

@testable import Milvus

@Suite("What needs no server")
struct PureTests {
    @Test("a filter's string can't leave its quotation marks")
    func literals() {
        #expect(Filter.literal("a\"b\\c\nd\re'f{g}") == #""a\"b\\c\nd\re'f{g}""#)
        #expect(Filter.literal("\r\n") == #""\r\n""#)
        #expect(Filter.literal("e\u{301}\0") == "\"e\u{301}\0\"")
    }

    @Test("a filter of rows always names the principal, or the pool, first and apart")
    func filters() {
        #expect(
            Filter.rows(of: "p", ids: ["a", "b"]).description == #"principal == "p" and id in ["a", "b"]"#)
        #expect(
            Filter.rows(of: "p", session: "s", generationBelow: 3, orIDs: ["a"]).description
                == #"principal == "p" and ((session == "s" and generation < 3) or id in ["a"])"#)
        #expect(
            Filter.rows(of: "p", session: "s", generationBelow: 3, orIDs: []).description
                == #"principal == "p" and ((session == "s" and generation < 3))"#)
        #expect(Filter.rows(ofPool: "p").description == #"pool == "p""#)
        #expect(
            Filter.rows(ofPool: "p", ids: ["a", "b"]).description == #"pool == "p" and id in ["a", "b"]"#)
    }

    @Test(
        "text search is told by the version",
        arguments: [
            ("v2.5.0", true), ("2.6.1", true), ("v2.6.0-rc1", true), ("v3.0", true), ("v2.4.23", false),
            ("v2.3.5-lite", false), ("milvus_lite-3.2.2", true), ("", false), ("unknown", false),
            ("v2", false),
            ("v99999999999999999999.5", false),
        ])
    func versions(version: String, searchesText: Bool) {
        #expect(ServerTraits(version: version).searchesText == searchesText)
    }

    @Test("rows are split into messages by size and count; of equal ids the last remains")
    func batches() {
        let rows = ["1", "2", "1", "3"].enumerated().map { row($0.element, text: "\($0.offset)") }
        let byCount = RowCoding.batches(rows, bytes: 1 << 20, count: 2)
        #expect(byCount.map { $0.map(\.text) } == [["1", "2"], ["3"]])
        #expect(RowCoding.batches(rows, bytes: 1, count: 10).map(\.count) == [1, 1, 1])
        #expect(RowCoding.batches([], bytes: 1, count: 10).isEmpty)
    }

    @Test("columns that don't fit together are no rows")
    func columns() throws {
        let collection = newCollection()
        let rows = [row("1"), row("2")]
        var columns = RowCoding.columns(rows, in: collection)
        #expect(RowCoding.rows(columns, dimension: 8) == rows)
        #expect(RowCoding.rows(columns, dimension: 7) == nil)
        columns.remove(at: 1)
        #expect(RowCoding.rows(columns, dimension: 8) == nil)
        #expect(RowCoding.rows([], dimension: 8) == [])
    }

    @Test("a description that is no card belongs to somebody else")
    func cards() {
        let collection = newCollection(model: "a \"model\"")
        #expect(MemoryCollection.Card(text: collection.card.text) == collection.card)
        #expect(
            collection.card.text == #"{"agentpool":2,"dimension":8,"model":"a \"model\"","textBytes":65535}"#)
        #expect(MemoryCollection.Card(text: "my documents") == nil)
        #expect(collection.match(Wire.Description()) != .same(searchesText: false))
    }

    @Test(
        "a collection's name, dimension and text size are checked first",
        arguments: ["", "1a", "a-b", "a b", "é"])
    func names(name: String) {
        #expect(MemoryCollection(name: name, embeddingModel: "m", dimension: 8).fault != nil)
        #expect(MemoryCollection(name: "a_1", embeddingModel: "m", dimension: 8).fault == nil)
        #expect(MemoryCollection(name: "a_1", embeddingModel: "m", dimension: 1).fault != nil)
        #expect(
            MemoryCollection(name: "a_1", embeddingModel: "m", dimension: 8, maxTextBytes: 65_536).fault
                != nil)
    }

    @Test("a failure is repeated with growing waits while there is time, and one without hope never")
    func retries() {
        var rule = RetryRule()
        #expect(rule.failed(.soon, remaining: .seconds(9), jitter: 0) == .milliseconds(25))
        #expect(rule.failed(.soon, remaining: .seconds(9), jitter: 0.5) == .milliseconds(75))
        #expect(rule.failed(.soon, remaining: .milliseconds(50), jitter: 0.5) == nil)
        #expect(rule.failed(.none, remaining: .seconds(9), jitter: 0) == nil)
        #expect(rule.failed(.twice, remaining: .seconds(9), jitter: 0) == nil)
        for _ in 0..<100 { _ = rule.failed(.soon, remaining: .seconds(9), jitter: 0) }
        #expect(rule.failed(.soon, remaining: .seconds(9), jitter: 0) == .seconds(1))
    }

    @Test("a status that is not success is a failure, whichever of its two codes says so")
    func statuses() throws {
        func failure(code: Int32 = 0, legacy: Int32 = 0, retriable: Bool = false) -> Failure? {
            var status = Wire.Status()
            status.code = code
            status.errorCode = legacy
            status.retriable = retriable
            status.reason = "secret"
            return Failure(status, showsReason: false)
        }
        #expect(failure() == nil)
        #expect(failure(code: 1100)?.kind == .rejected(1100))
        #expect(failure(legacy: 1)?.kind == .rejected(1))
        #expect(failure(legacy: 49)?.kind == .overloaded)
        #expect(failure(code: 8)?.hope == .soon)
        #expect(failure(code: 5, retriable: true)?.hope == .soon)
        #expect(failure(code: 101)?.kind == .rejected(101))
        #expect(failure(code: 1100)?.message.contains("secret") == false)
    }

    @Test("a gRPC failure is told by its code, and none of its words are shown")
    func grpcFailures() {
        func failure(_ code: RPCError.Code, _ message: String = "secret") -> Failure {
            Failure(RPCError(code: code, message: message))
        }
        #expect(failure(.unauthenticated).kind == .rejected(16))
        #expect(failure(.unauthenticated).hope == .none)
        #expect(failure(.unimplemented).kind == .unsupported)
        #expect(failure(.resourceExhausted).kind == .overloaded)
        #expect(failure(.unknown).hope == .twice)
        #expect(failure(.unknown, "internal: Milvus Proxy is not ready yet. please wait").hope == .soon)
        for code in [RPCError.Code.unknown, .unavailable, .invalidArgument, .unauthenticated] {
            #expect(!failure(code).message.contains("secret"))
        }
    }

    @Test("a connection is replaced when calls on it stay unanswered for too long, whoever ends them")
    func health() {
        var health = ConnectionHealth(patience: .seconds(1))
        let start = ContinuousClock.now
        func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }
        #expect(health.unanswered(begun: at(0), generation: 0, now: at(0.5)) == .keep)
        health.answered(generation: 0)
        #expect(health.unanswered(begun: at(1), generation: 0, now: at(1.1)) == .keep)
        #expect(health.unanswered(begun: at(1.9), generation: 0, now: at(2.0)) == .replace)
        #expect(health.generation == 1)
        #expect(health.unanswered(begun: at(1), generation: 0, now: at(9)) == .keep)
        #expect(health.unanswered(begun: at(9), generation: 1, now: at(9.1)) == .keep)
        health.answered(generation: 0)
        #expect(health.unanswered(begun: at(10), generation: 1, now: at(10.1)) == .replace)
    }
}

/// What goes on the wire, and what is kept of it.
import Agent
import Foundation
import Memory
import NIOCore
import Testing

@testable import Worker

@Suite("A stream")
struct StreamTests {
    private func encoder(_ framing: BodyFraming = .untilClose, usage: Bool = false) throws
        -> ChatStreamEncoder
    {
        ChatStreamEncoder(
            turn: try #require(TurnID("t\"1")), created: 7, model: "m", includeUsage: usage, framing: framing)
    }

    private func events(_ buffer: ByteBuffer) throws -> [[String: Any]] {
        try String(buffer: buffer).components(separatedBy: "\n\n").filter {
            !$0.isEmpty && $0 != "data: [DONE]"
        }
        .map { event in
            #expect(event.hasPrefix("data: "))
            let json = try JSONSerialization.jsonObject(with: Data(event.dropFirst(6).utf8))
            return try #require(json as? [String: Any])
        }
    }

    private func delta(_ event: [String: Any]) -> [String: Any]? {
        ((event["choices"] as? [[String: Any]])?.first?["delta"]) as? [String: Any]
    }

    @Test("of chat chunks is what OpenAI's clients read")
    func chunks() throws {
        var encoder = try encoder(usage: true)
        let first = try events(encoder.text(["He\"llo\n", "\u{1F600}"]))
        #expect(first.count == 2)
        #expect(delta(first[0])?["role"] as? String == "assistant")
        #expect(delta(first[0])?["content"] as? String == "He\"llo\n")
        #expect(delta(first[1])?["role"] == nil)
        #expect(delta(first[1])?["content"] as? String == "\u{1F600}")
        #expect(first[0]["id"] as? String == "chatcmpl-t\"1")

        let end = encoder.end(.stop, usage: TokenUsage(promptTokens: 2, completionTokens: 3))
        #expect(String(buffer: end).hasSuffix("data: [DONE]\n\n"))
        let last = try events(end)
        #expect((last[0]["choices"] as? [[String: Any]])?.first?["finish_reason"] as? String == "stop")
        #expect((last[1]["usage"] as? [String: Any])?["total_tokens"] as? Int == 5)
        #expect((last[1]["choices"] as? [Any])?.isEmpty == true)
    }

    @Test("frames each flush as one chunk, and an empty one as none")
    func framing() throws {
        var buffer = ByteBuffer()
        buffer.writeFramed(.chunked) { $0.writeString(String(repeating: "x", count: 300)) }
        #expect(String(buffer: buffer).hasPrefix("0000012c\r\nxxx"))
        #expect(String(buffer: buffer).hasSuffix("x\r\n"))
        let before = buffer.readableBytes
        buffer.writeFramed(.chunked) { _ in }
        #expect(buffer.readableBytes == before)
        buffer.writeBodyEnd(.chunked)
        #expect(String(buffer: buffer).hasSuffix("\r\n0\r\n\r\n"))
    }

    private func id(_ sequence: Int, attempt: Int = 1) throws -> EventID {
        EventID(turn: try #require(TurnID("t")), attempt: attempt, sequence: sequence)
    }

    @Test("is kept up to its bounds, and says what it has lost")
    func log() throws {
        var log = EventLog()
        for index in 0..<(EventLog.maxEvents + 10) { log.append(id: try id(index), ByteBuffer(string: "e")) }
        guard case .lost = log.read(from: 0) else {
            Issue.record("the first event should have left")
            return
        }
        guard case .events(let events) = log.read(from: 10, limit: 3) else {
            Issue.record("event 10 should be there")
            return
        }
        #expect(events.map(\.id.sequence) == [10, 11, 12])
        #expect(log.index(after: try id(12)) == 13)
        #expect(log.index(after: try id(2)) == nil)

        var large = EventLog()
        for index in 0..<10 {
            large.append(id: try id(index), ByteBuffer(repeating: 1, count: EventLog.maxBytes / 4))
        }
        #expect(large.index(after: try id(5)) == nil)
        #expect(large.index(after: try id(9)) == 10)
        #expect(large.bytes <= EventLog.maxBytes)
    }

    @Test("goes on after the event that was seen last, or where a later attempt voids it")
    func continuation() throws {
        var log = EventLog()
        for sequence in 1...3 { log.append(id: try id(sequence), ByteBuffer(string: "\(sequence) ")) }
        #expect(log.continuation(after: try id(2)) == 2)
        #expect(log.continuation(after: try id(9)) == nil)
        for sequence in 1...2 {
            log.append(id: try id(sequence, attempt: 2), ByteBuffer(string: "b\(sequence) "))
        }
        let turn = try #require(TurnID("t"))
        #expect(log.start(of: turn) == 3 && log.lastAttempt(of: turn) == 2)
        #expect(
            String(buffer: log.joined(from: try #require(log.continuation(after: try id(9))))) == "b1 b2 ")
    }

    @Test("of metrics is Prometheus's text, with cumulative buckets and escaped labels")
    func metrics() {
        var histogram = Histogram()
        histogram.observe(.milliseconds(2))
        histogram.observe(.seconds(1000))
        var page = PrometheusText()
        page.histogram("h", "help", histogram)
        page.counters("c", "help", by: "l", ["a\"b": 3])
        #expect(page.text.contains("h_bucket{le=\"0.001\"} 0\nh_bucket{le=\"0.0025\"} 1\n"))
        #expect(page.text.contains("h_bucket{le=\"300.0\"} 1\nh_bucket{le=\"+Inf\"} 2\n"))
        #expect(page.text.contains("c{l=\"a\\\"b\"} 3\n"))
    }

    @Test("of reports decides readiness with patience once it was there")
    func readiness() {
        var readiness = Readiness()
        let bad = MemoryHealth(checkpoints: .failing("x"), index: .ok)
        #expect(!readiness.isReady)
        readiness.observe(bad, after: .zero)
        #expect(!readiness.isReady)
        let poor = MemoryHealth(checkpoints: .ok, index: .failing("y"))
        readiness.observe(poor, after: .seconds(29))
        #expect(readiness.status == .starting)
        readiness.observe(poor, after: .seconds(30))
        #expect(readiness.status == .degraded(["the memory index fails: y"]))
        for _ in 1..<Readiness.patience { readiness.observe(bad, after: .seconds(31)) }
        #expect(readiness.isReady)
        readiness.observe(bad, after: .seconds(32))
        #expect(!readiness.isReady)
        readiness.observe(poor, after: .seconds(33))
        #expect(readiness.isReady)
        readiness.observe(MemoryHealth(checkpoints: .ok, index: .ok), after: .seconds(34))
        #expect(readiness.status == .ready)
    }

    @Test("of requests without a session is remembered for their retries, for a while and up to a bound")
    func recentRequests() throws {
        var recent = RecentRequests()
        let start = ContinuousClock.now
        let principal = Principal(pool: "p", credential: "c", endUser: nil)
        func key(_ index: Int) -> RecentRequests.Key { .init(principal: principal, digest: "\(index)") }
        let session = try SessionID("s", param: "")
        for index in 0...RecentRequests.capacity { recent.remember(session, for: key(index), now: start) }
        #expect(recent.session(for: key(0), now: start) == nil)
        #expect(recent.session(for: key(1), now: start) == session)
        #expect(recent.session(for: key(1), now: start + RecentRequests.lifetime + .seconds(1)) == nil)
    }
}

/// A turn that waited for a person, as the responses, streams and items that tell it.
import Agent
import Foundation
import Memory
import NIOCore
import Testing

@testable import Worker

@Suite("A turn that waits for a person, as responses")
struct ResponsePartTests {
    private static let calls = [
        ToolCall(id: "c1", name: "look_up", arguments: "{}"),
        ToolCall(id: "c2", name: "book", arguments: #"{"k":1}"#, approval: .awaited),
        ToolCall(id: "c3", name: "pay", arguments: "{}", approval: .awaited),
    ]
    private static let asked = [
        Message(role: .user, content: "send it"),
        Message(role: .assistant, content: "One moment.", toolCalls: calls),
        Message(role: .tool, content: "found", name: "look_up", toolCallID: "c1", toolOutcome: .done),
    ]

    private let session: SessionID

    init() throws { session = try SessionID("s", param: "") }

    private func stored(_ messages: [Message], _ ending: Turn.Ending) throws -> StoredTurn {
        StoredTurn(
            sequence: 3,
            turn: Turn(
                id: try #require(TurnID("a_b")), messages: messages, inputCount: 1, agent: "a",
                ending: ending,
                startedAt: 5000, finishedAt: 9000, usage: TokenUsage(promptTokens: 2, completionTokens: 3)))
    }

    private func waiting() throws -> StoredTurn { try stored(Self.asked, .waiting) }

    /// `book` was approved and made, `pay` was refused.
    private func decided() throws -> StoredTurn {
        var messages = Self.asked
        messages[1].toolCalls?[1].approval = .approved
        messages += [
            Message(role: .tool, content: "booked", name: "book", toolCallID: "c2", toolOutcome: .done),
            Message(role: .tool, content: "too dear", name: "pay", toolCallID: "c3", toolOutcome: .refused),
            Message(role: .assistant, content: "It is booked."),
        ]
        return try stored(messages, .complete)
    }

    private func object(_ bytes: some Sequence<UInt8>) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    }

    private func response(_ stored: StoredTurn, part: Int) throws -> [String: Any] {
        try object(ResponseObject(stored, part: part, of: session, serverLabel: "p").json)
    }

    private func output(_ response: [String: Any]) throws -> [[String: Any]] {
        try #require(response["output"] as? [[String: Any]])
    }

    private func types(_ response: [String: Any]) throws -> [String] {
        try output(response).map { "\($0["type"] ?? "")" }
    }

    private func told(_ stored: StoredTurn, part: Int, after: Int? = nil) throws -> [(
        name: String, json: [String: Any]
    )] {
        let id = ResponseID(session: session, turn: stored.turn.id, part: part)
        let bytes = try #require(
            ResponseStreamEncoder.retold(stored, id, serverLabel: "p", after: after, framing: .untilClose))
        return try String(buffer: bytes).components(separatedBy: "\n\n").filter { !$0.isEmpty }.map { text in
            let lines = text.components(separatedBy: "\n")
            return (String(lines[0].dropFirst(7)), try object(lines[1].dropFirst(6).utf8))
        }
    }

    @Test("asks for its calls by items of their own, and is completed")
    func asks() throws {
        let response = try response(waiting(), part: 0)
        #expect(response["status"] as? String == "completed" && response["incomplete_details"] is NSNull)
        #expect(
            try types(response) == ["message", "mcp_call", "mcp_approval_request", "mcp_approval_request"])
        let asked = try output(response)[2]
        #expect(asked["name"] as? String == "book" && asked["arguments"] as? String == #"{"k":1}"#)
        #expect(asked["server_label"] as? String == "p" && asked["status"] == nil)
        let id = try #require((asked["id"] as? String).flatMap { ApprovalRequestID($0) })
        #expect(id.call == "c2" && id.turn.value == "a_b")
        #expect(try waiting().turn.parts == 1)
    }

    @Test("keeps that response as it was once it has gone on, and tells the rest by another one")
    func goesOn() throws {
        let (before, after) = try (response(waiting(), part: 0), response(decided(), part: 0))
        #expect(try types(after) == types(before))
        #expect(try output(after).map { $0["id"] as? String } == output(before).map { $0["id"] as? String })
        #expect(after["id"] as? String == before["id"] as? String)
        #expect(after["status"] as? String == "completed")

        let rest = try response(decided(), part: 1)
        #expect(try types(rest) == ["mcp_call", "mcp_call", "message"])
        let (made, refused) = try (output(rest)[0], output(rest)[1])
        #expect(made["output"] as? String == "booked")
        #expect(made["approval_request_id"] as? String == (try output(before)[2]["id"] as? String))
        #expect(refused["status"] as? String == "failed")
        #expect((refused["error"] as? [String: Any])?["outcome"] as? String == "refused")
        let id = try #require((rest["id"] as? String).flatMap { ResponseID($0) })
        #expect(id.part == 1 && id.turn.value == "a_b")
        #expect(try decided().turn.parts == 2)
    }

    @Test("is streamed as it goes on without what was told before")
    func streamed() throws {
        var asked = ResponsesRequest()
        asked.previous = ResponseID(session: session, turn: .mint())
        var opening = TurnOpening(turn: try waiting().turn.id, agent: "a", tier: .l1)
        opening.part = 1
        var encoder = ResponseStreamEncoder(
            ResponseObject(to: asked, opening, session: session, model: "m", serverLabel: "p"),
            framing: .untilClose)
        // All steps are told anew, as to every client; the answer and the last words are new.
        var events = TurnEvent.replay(try decided())
        let report = events.removeLast()
        guard case .committed(let report) = report else {
            Issue.record("no report")
            return
        }
        let told = encoder.events(events[...])
        var bytes = try #require(told)
        bytes.writeImmutableBuffer(encoder.end(report, now: 9))
        let names = String(buffer: bytes).components(separatedBy: "\n").filter { $0.hasPrefix("event: ") }
            .map { $0.dropFirst(7) }
        #expect(names.filter { $0 == "response.output_item.added" }.count == 3)
        #expect(
            names.filter { $0.contains("mcp_call.") }.map { $0.split(separator: ".").last } == [
                "in_progress", "in_progress", "completed", "failed",
            ])
        #expect(names.last == "response.completed")
        #expect(!String(buffer: bytes).contains("One moment"))
    }

    @Test("that asks is streamed with each request as an item that is begun and ended")
    func streamsRequests() throws {
        let events = try told(waiting(), part: 0)
        let requests = events.filter {
            ($0.json["item"] as? [String: Any])?["type"] as? String == "mcp_approval_request"
        }
        #expect(
            requests.map(\.name) == [
                "response.output_item.added", "response.output_item.done",
                "response.output_item.added", "response.output_item.done",
            ])
        for event in requests {
            let arguments = (event.json["item"] as? [String: Any])?["arguments"] as? String
            #expect(arguments?.isEmpty == false)
        }
        #expect(events.last?.name == "response.completed")
    }

    @Test("is told again as a stream whose numbers stay, from any of them on")
    func retold() throws {
        let whole = try told(decided(), part: 1)
        #expect(whole.map { $0.json["sequence_number"] as? Int } == Array(0..<whole.count))
        #expect(whole.first?.name == "response.created" && whole.last?.name == "response.completed")
        for last in [0, 4, whole.count - 2] {
            let rest = try told(decided(), part: 1, after: last)
            #expect(rest.map(\.name) == whole.dropFirst(last + 1).map(\.name))
            #expect(rest.first?.json["sequence_number"] as? Int == last + 1)
        }
        #expect(try told(decided(), part: 1, after: whole.count - 1).isEmpty)
        let running = try stored(Self.asked, .running)
        let id = ResponseID(session: session, turn: running.turn.id, part: running.turn.parts - 1)
        #expect(
            ResponseStreamEncoder.retold(running, id, serverLabel: "p", after: nil, framing: .untilClose)
                == nil)
    }

    @Test("that failed or was cancelled is not told again as if it were whole")
    func retoldEnds() throws {
        let messages = [Message(role: .user, content: "q"), Message(role: .assistant, content: "half")]
        for (ending, name) in [
            (Turn.Ending.failed, "response.failed"), (.cancelled, "response.incomplete"),
        ] {
            var stored = try stored(messages, ending)
            stored.turn.inputCount = nil
            #expect(try told(stored, part: 0).last?.name == name)
        }
    }

    private func items(_ stored: StoredTurn) -> TurnItems {
        TurnItems(stored: stored, session: session, serverLabel: "p")
    }

    @Test("has as items what was said, asked, decided and made, in this order, each of its own name")
    func asItems() throws {
        let items = try items(decided())
        let read = try items.all.map { try object($0.json) }
        #expect(
            read.map { $0["type"] as? String } == [
                "message", "message", "mcp_call", "mcp_approval_request", "mcp_approval_request",
                "mcp_approval_response", "mcp_approval_response", "mcp_call", "mcp_call", "message",
            ])
        #expect(read.map { $0["id"] as? String } == items.all.map(\.id))
        #expect(Set(items.all.map(\.id)).count == items.all.count)
        #expect(items.all.allSatisfy { ResponseItemID.turn(of: $0.id)?.value == "a_b" })
        #expect(read.compactMap { $0["approve"] as? Bool } == [true, false])
        #expect(read[0]["role"] as? String == "user" && read[9]["status"] as? String == "completed")
        #expect(items.input(ofPart: 0).map(\.id) == [items.all[0].id])
        #expect(items.input(ofPart: 1).map(\.id) == items.all[5...6].map(\.id))
        for name in ["", "msg", "msg_x", "msg_x_1", "mcpr_!", "mcpa_eA"] {
            #expect(ResponseItemID.turn(of: name) == nil)
        }
    }

    @Test("has its items a page at a time, in either order")
    func pages() throws {
        let all = try items(decided()).all
        for order in ["asc", "desc"] {
            let wanted = order == "asc" ? all : all.reversed()
            var (seen, last): ([String], String?) = ([], nil)
            repeat {
                let after = last.map { "&after=" + $0 } ?? ""
                let query = try ItemQuery(QueryItems("/x?limit=3&order=\(order)\(after)"))
                let page = try query.page(of: all)
                seen += page.items.map(\.id)
                last = page.hasMore ? page.items.last?.id : nil
                let read = try object(page.json)
                #expect(read["has_more"] as? Bool == page.hasMore)
                #expect(read["last_id"] as? String == page.items.last?.id)
            } while last != nil
            #expect(seen == wanted.map(\.id))
        }
        #expect(try ItemQuery(QueryItems("/x")) == ItemQuery(QueryItems("/x?limit=20&order=desc")))
        for bad in ["limit=0", "limit=101", "limit=x", "order=up"] {
            #expect(throws: APIError.self) { try ItemQuery(QueryItems("/x?" + bad)) }
        }
        let stray = try ItemQuery(QueryItems("/x?after=msg_z_0_0"))
        #expect(throws: APIError.self) { try stray.page(of: all) }
    }
}

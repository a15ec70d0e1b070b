/// A response on the wire: its events in their documented order, and the object that it is in the end.
import Agent
import Foundation
import Memory
import NIOCore
import Testing

@testable import Worker

@Suite("A response")
struct ResponseStreamTests {
    private struct Event {
        var name: String
        var json: [String: Any]
    }

    private func turn(
        _ messages: [Message], inputs: Int? = nil, ending: Turn.Ending = .complete
    ) throws -> Turn {
        Turn(
            id: try #require(TurnID("t\"1")), messages: messages, inputCount: inputs, agent: "a",
            ending: ending, startedAt: 5000, finishedAt: 9000,
            usage: TokenUsage(promptTokens: 2, completionTokens: 3))
    }

    private func report(_ reason: FinishReason = .stop) throws -> TurnReport {
        let turn = try turn([])
        let stored = StoredTurn(sequence: 1, turn: turn)
        return TurnReport(
            turn: turn, outcome: CommitOutcome(sequence: 1, stored: stored), finishReason: reason,
            usage: turn.usage)
    }

    private func response() throws -> ResponseObject {
        var asked = ResponsesRequest()
        asked.instructions = "brief"
        asked.metadata = [("k", "v")]
        asked.overrides.maxTokens = 7
        return ResponseObject(
            to: asked, TurnOpening(turn: try turn([]).id, agent: "a", tier: .new),
            session: try SessionID("s", param: ""), model: "m", serverLabel: "pool")
    }

    private func encoder() throws -> ResponseStreamEncoder {
        ResponseStreamEncoder(try response(), framing: .untilClose)
    }

    private func events(_ buffers: ByteBuffer?...) throws -> [Event] {
        try buffers.compactMap { $0.map { String(buffer: $0) } }.joined().components(separatedBy: "\n\n")
            .filter { !$0.isEmpty }
            .map { text in
                let lines = text.components(separatedBy: "\n")
                #expect(lines.count == 2 && lines[0].hasPrefix("event: ") && lines[1].hasPrefix("data: "))
                let json = try JSONSerialization.jsonObject(with: Data(lines[1].dropFirst(6).utf8))
                let event = Event(
                    name: String(lines[0].dropFirst(7)), json: try #require(json as? [String: Any]))
                #expect(event.json["type"] as? String == event.name)
                return event
            }
    }

    private func object(_ bytes: [UInt8]) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    }

    private func items(_ response: Any?) throws -> [[String: Any]] {
        try #require((response as? [String: Any])?["output"] as? [[String: Any]])
    }

    private func text(_ item: [String: Any]) -> String? {
        (item["content"] as? [[String: Any]])?.first?["text"] as? String
    }

    @Test("of plain text is told in the documented order, its events numbered from 0")
    func plainText() throws {
        var encoder = try encoder()
        #expect(encoder.events([.step(name: "converse", kind: .converse)]) == nil)
        let first = encoder.events([.text("He\"llo\n"), .text("\u{1F600}")])
        let told = try events(first, encoder.end(try report(), now: 9))
        #expect(
            told.map(\.name) == [
                "response.created", "response.in_progress", "response.output_item.added",
                "response.content_part.added", "response.output_text.delta", "response.output_text.delta",
                "response.output_text.done", "response.content_part.done", "response.output_item.done",
                "response.completed",
            ])
        #expect(told.map { $0.json["sequence_number"] as? Int } == Array(0..<told.count))
        #expect(told[4].json["delta"] as? String == "He\"llo\n")
        #expect(told[6].json["text"] as? String == "He\"llo\n\u{1F600}")
        let ids = Set(told[4...7].map { $0.json["item_id"] as? String })
        #expect(ids == ["msg_t\"1_0_0"])

        let begun = try #require(told[0].json["response"] as? [String: Any])
        #expect(begun["status"] as? String == "in_progress" && begun["usage"] is NSNull)
        #expect(try items(begun).isEmpty)
        let ended = try #require(told[9].json["response"] as? [String: Any])
        #expect(ended["id"] as? String == begun["id"] as? String)
        #expect(ended["status"] as? String == "completed" && ended["model"] as? String == "m")
        #expect(ended["instructions"] as? String == "brief" && ended["max_output_tokens"] as? Int == 7)
        #expect(ended["metadata"] as? [String: String] == ["k": "v"])
        #expect((ended["conversation"] as? [String: Any])?["id"] as? String == "s")
        let usage = try #require(ended["usage"] as? [String: Any])
        #expect(usage["input_tokens"] as? Int == 2 && usage["total_tokens"] as? Int == 5)
        #expect(text(try items(ended)[0]) == "He\"llo\n\u{1F600}")
    }

    @Test("has the words before a call, the call and the words after it as items of their own")
    func calls() throws {
        var encoder = try encoder()
        let call = ToolCall(id: "c1", name: "look_up", arguments: #"{"k":1}"#)
        let other = ToolCall(id: "c2", name: "book", arguments: "{}")
        let asked = encoder.events([.text("Let me see."), .toolCall(call), .toolCall(other)])
        // Calls side by side end in any order.
        let answered = encoder.events([
            .toolResult(id: "c2", name: "book", ToolResult(.failed, "no room")),
            .toolResult(id: "c1", name: "look_up", ToolResult(.done, "here")),
        ])
        let told = try events(
            asked, answered, encoder.events([.text("Here.")]), encoder.end(try report(), now: 9))
        #expect(
            told.map(\.name).filter { $0.contains("mcp") } == [
                "response.mcp_call.in_progress", "response.mcp_call_arguments.delta",
                "response.mcp_call_arguments.done", "response.mcp_call.in_progress",
                "response.mcp_call_arguments.delta", "response.mcp_call_arguments.done",
                "response.mcp_call.failed", "response.mcp_call.completed",
            ])
        let done = told.filter { $0.name == "response.output_item.done" }
        #expect(done.map { $0.json["output_index"] as? Int } == [0, 2, 1, 3])
        let output = try items(told.last?.json["response"])
        #expect(output.map { $0["type"] as? String } == ["message", "mcp_call", "mcp_call", "message"])
        #expect(text(output[0]) == "Let me see." && text(output[3]) == "Here.")
        #expect(output[1]["output"] as? String == "here" && output[1]["error"] is NSNull)
        #expect(output[1]["arguments"] as? String == #"{"k":1}"#)
        #expect(output[1]["server_label"] as? String == "pool")
        #expect(output[2]["status"] as? String == "failed" && output[2]["output"] is NSNull)
        let error = try #require(output[2]["error"] as? [String: Any])
        #expect(error["type"] as? String == "mcp_tool_execution_error")
        #expect(Set(output.compactMap { $0["id"] as? String }).count == 4)
    }

    @Test("shows of a tool's long answer what a native client is shown, and says so")
    func longResult() throws {
        var output = ResponseOutput(turn: .mint(), serverLabel: "p")
        _ = output.take(.toolCall(ToolCall(id: "c", name: "f", arguments: "{}")))
        let long = String(repeating: "x", count: NativeEventEncoder.shownResult + 1)
        _ = output.take(.toolResult(id: "c", name: "f", ToolResult(.done, long)))
        var json = JSONWriter()
        output.write(output.items[0], into: &json)
        let item = try object(json.bytes)
        #expect((item["output"] as? String)?.count == NativeEventEncoder.shownResult)
        #expect(item["truncated"] as? Bool == true)
    }

    @Test(
        "that the model stopped early is incomplete, and says why",
        arguments: [(FinishReason.length, "max_output_tokens"), (.contentFilter, "content_filter")])
    func incomplete(reason: FinishReason, told: String) throws {
        var encoder = try encoder()
        let all = try events(encoder.events([.text("Hel")]), encoder.end(try report(reason), now: 9))
        let last = try #require(all.last)
        #expect(last.name == "response.incomplete")
        let response = try #require(last.json["response"] as? [String: Any])
        #expect(response["status"] as? String == "incomplete")
        #expect((response["incomplete_details"] as? [String: Any])?["reason"] as? String == told)
        #expect(try items(response)[0]["status"] as? String == "incomplete")
    }

    @Test("that failed ends its items and says why, also where it had not begun")
    func failed() throws {
        var encoder = try encoder()
        let error = APIError(.badGateway, type: "server_error", code: "model_failed", "It broke.")
        let all = try events(encoder.events([.text("Hel")]), encoder.error(error))
        #expect(all.suffix(2).map(\.name) == ["response.output_item.done", "response.failed"])
        let response = try #require(all.last?.json["response"] as? [String: Any])
        #expect((response["error"] as? [String: Any])?["code"] as? String == "model_failed")
        #expect(text(try items(response)[0]) == "Hel")

        var silent = try self.encoder()
        let names = try events(silent.error(error)).map(\.name)
        #expect(names == ["response.created", "response.in_progress", "response.failed"])
    }

    @Test("of no words is an empty message")
    func empty() throws {
        var encoder = try encoder()
        let last = try events(encoder.end(try report(), now: 9)).last
        #expect(text(try items(last?.json["response"])[0])?.isEmpty == true)
    }

    @Test("that is read again is the stored turn, its calls among its words")
    func stored() throws {
        let call = ToolCall(id: "c", name: "f", arguments: "{}")
        let messages = [
            Message(role: .user, content: "q"), Message(role: .assistant, content: "A", toolCalls: [call]),
            Message(role: .tool, content: "x", name: "f", toolCallID: "c", toolOutcome: .done),
            Message(role: .assistant, content: "B"),
        ]
        let session = try SessionID("s", param: "")
        func read(_ turn: Turn) throws -> [String: Any] {
            try object(
                ResponseObject(
                    StoredTurn(sequence: 1, turn: turn), of: session, serverLabel: "p"
                ).json)
        }
        let whole = try read(try turn(messages, inputs: 1))
        #expect(try items(whole).map { $0["type"] as? String } == ["message", "mcp_call", "message"])
        #expect(whole["status"] as? String == "completed" && whole["created_at"] as? Int == 5)
        #expect(whole["completed_at"] as? Int == 9 && whole["model"] as? String == "a")

        let running = try read(try turn(Array(messages.prefix(2)), inputs: 1, ending: .running))
        #expect(running["status"] as? String == "in_progress")
        #expect(try items(running)[1]["status"] as? String == "in_progress")

        let unanswered = [
            Message(role: .user, content: "q"), Message(role: .assistant, content: "edited"),
            Message(role: .user, content: "r"),
        ]
        let cancelled = try read(try turn(unanswered, ending: .cancelled))
        #expect(cancelled["status"] as? String == "cancelled")
        #expect(try items(cancelled).isEmpty)
        #expect(try read(try turn(unanswered, ending: .failed))["error"] is [String: Any])
    }

    @Test("that is cut ends in an event of its own API, which the SDKs raise")
    func cut() throws {
        #expect(StreamDialect(target: "/v1/responses?x=1") == .responses)
        #expect(StreamDialect(target: "/v1/sessions/a/turns") == .native)
        #expect(StreamDialect(target: "/v1/chat/completions") == .chatCompletions)
        let last = try #require(try events(StreamDialect.responses.cut(.workerLost)).first)
        #expect(last.name == "error" && last.json["code"] as? String == "worker_lost")
        #expect((last.json["error"] as? [String: Any])?["message"] is String)
    }
}

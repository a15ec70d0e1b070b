/// Functions of a client: how they are read, which answers fit their calls, and how the calls are told.
import Agent
import Foundation
import Memory
import NIOCore
import PoolAPI
import Testing

@testable import Worker

@Suite("Functions of a client")
struct ClientFunctionsTests {
    private func user(_ text: String) -> Message { Message(role: .user, content: text) }

    private func asking(_ ids: String..., text: String = "") -> Message {
        Message(role: .assistant, content: text, toolCalls: ids.map { call($0) })
    }

    private func call(_ id: String) -> ToolCall {
        ToolCall(id: id, name: "open_page", arguments: #"{"n":"é\n"}"#, byClient: true)
    }

    private func answer(_ id: String, name: String? = nil) -> Message {
        Message(role: .tool, content: "blank", name: name, toolCallID: id)
    }

    private func turn(_ messages: [Message], inputs: Int? = nil) throws -> StoredTurn {
        StoredTurn(
            sequence: 1,
            turn: Turn(
                id: try #require(TurnID("t")), messages: messages, inputCount: inputs, agent: "a",
                startedAt: 0, finishedAt: 0))
    }

    private func chat(_ fields: String) throws(APIError) -> ChatCompletionsRequest {
        try ChatCompletionsRequest.parse(
            Array(#"{"messages":[{"role":"user","content":"x"}],\#(fields)}"#.utf8))
    }

    // MARK: Reading

    @Test("are read from a chat with their schema as it came, whatever the order of the fields")
    func chatTools() throws {
        let request = try chat(
            """
            "tool_choice":{"type":"function","function":{"name":"open_page"}},"parallel_tool_calls":false,
            "tools":[{"type":"function","function":{"parameters":{ "type" :
              "object",\t"title": " a \\" b "},"strict":true,
            "name":"open_page","description":"Opens."}},{"function":{"name":"close-2"},"type":"function"}]
            """)
        #expect(
            request.functions
                == ClientFunctions(
                    [
                        ChatFunction(
                            name: "open_page", description: "Opens.",
                            parameters: #"{"type":"object","title":" a \" b "}"#,
                            isStrict: true),
                        ChatFunction(
                            name: "close-2", description: "",
                            parameters: #"{"type":"object","properties":{}}"#),
                    ], choice: .function("open_page"), callsInParallel: false))
        #expect(try chat(#""tools":null,"tool_choice":null"#).functions == ClientFunctions())
        #expect(try chat(#""tools":[],"tool_choice":"auto""#).functions == ClientFunctions())
    }

    @Test("are held to what the client chose")
    func choices() throws {
        let tools = #""tools":[{"type":"function","function":{"name":"f"}}]"#
        #expect(try chat(tools + #","tool_choice":"none""#).functions.choice == .none)
        #expect(try chat(tools + #","tool_choice":"required""#).functions.choice == .required)
    }

    @Test(
        "are read from a request for a response, which has their members elsewhere, and so are calls and answers"
    )
    func responseTools() throws {
        let body = """
            {"tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":false}],
            "tool_choice":{"type":"function","name":"f"},"input":[{"role":"user","content":"q"},
            {"role":"assistant","content":"I look."},{"type":"mcp_call","id":"m","name":"x","arguments":"{}"},
            {"type":"function_call","call_id":"c1","name":"f","arguments":"{}","id":"fc_1","status":"completed"},
            {"type":"function_call","call_id":"c2","name":"f","arguments":"[]"},
            {"type":"function_call_output","call_id":"c1","output":"one"},
            {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"two"}]}]}
            """
        let request = try ResponsesRequest.parse(Array(body.utf8))
        #expect(
            request.functions
                == ClientFunctions(
                    [
                        ChatFunction(
                            name: "f", description: "", parameters: #"{"type":"object"}"#, isStrict: false)
                    ], choice: .function("f")))
        #expect(request.messages.map(\.role) == [.user, .assistant, .tool, .tool])
        #expect(request.messages[1].content == "I look.")
        #expect(request.messages[1].toolCalls?.map(\.id) == ["c1", "c2"])
        #expect(request.messages[2...].map(\.content) == ["one", "two"])
    }

    @Test(
        "that can't be offered are refused by the field's name",
        arguments: [
            (#""tools":[{"type":"custom","custom":{"name":"f"}}]"#, "tools[0]"),
            (#""tools":[{"type":"function"}]"#, "tools[0].function.name"),
            (#""tools":[{"type":"function","function":{"name":"a b"}}]"#, "tools[0].function.name"),
            (
                #""tools":[{"type":"function","function":{"name":"f","parameters":[]}}]"#,
                "tools[0].function.parameters"
            ),
            (
                #""tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}]"#,
                "tools[1]"
            ),
            (#""tool_choice":"required""#, "tool_choice"),
            (#""tool_choice":"any""#, "tool_choice"),
            (#""tool_choice":{"type":"function","function":{"name":"f"}}"#, "tool_choice"),
            (#""tool_choice":{"type":"function","name":"f"}"#, "tool_choice.function.name"),
            (#""tool_choice":5"#, "tool_choice"),
            (#""tools":[{"function":{"name":"f"}}]"#, "tools[0].type"),
            (#""tool_choice":{"type":"allowed_tools"}"#, "tool_choice"),
            (#""parallel_tool_calls":"yes""#, "parallel_tool_calls"),
        ])
    func refused(fields: String, param: String) throws {
        let error = #expect(throws: APIError.self) { try chat(fields) }
        #expect(error?.status == .badRequest && error?.param == param)
    }

    // MARK: Answers

    @Test("have their answers named by the calls that wait at the history's end")
    func named() throws {
        let history = [try turn([user("q"), asking("c1", "c2")])]
        let new = try ClientAnswers.named([answer("c2"), answer("c1")], carried: [], after: history)
        #expect(new == [answer("c2", name: "open_page"), answer("c1", name: "open_page")])
        // And where the client's own history holds the calls.
        #expect(
            try ClientAnswers.named([answer("c3")], carried: [user("q"), asking("c3")], after: history)
                == [answer("c3", name: "open_page")])
        // A client may let them be.
        #expect(
            try ClientAnswers.named([user("never mind")], carried: [], after: history) == [user("never mind")]
        )
    }

    @Test("are not answered where nobody asked, nor by halves")
    func faults() throws {
        let history = [try turn([user("q"), asking("c1", "c2")])]
        func fault(_ new: [Message], _ history: [StoredTurn]) -> ClientAnswers.Fault? {
            #expect(throws: ClientAnswers.Fault.self) {
                try ClientAnswers.named(new, carried: [], after: history)
            }
        }
        #expect(fault([answer("c1")], []) == .unknownCall("c1", waiting: []))
        #expect(fault([answer("c9")], history) == .unknownCall("c9", waiting: ["c1", "c2"]))
        #expect(fault([answer("c1"), answer("c1")], history) == .answeredTwice("c1"))
        #expect(fault([answer("c1"), answer("c9")], history) == .unknownCall("c9", waiting: ["c1", "c2"]))
        #expect(fault([answer("c1")], history) == .unanswered("c2"))
        #expect(fault([answer("c1"), user("well?")], history) == .unanswered("c2"))
        #expect(fault([user("well?"), answer("c1")], history) == .late("c1"))
        let error = APIError(.unanswered("c2"), field: "messages")
        #expect(error.status == .badRequest && error.param == "messages" && error.message.contains("c2"))
    }

    @Test("leave a history that a client has as it was told it, with calls and without words")
    func history() throws {
        let pool = ToolCall(id: "p", name: "look_up", arguments: "{}")
        let first = Message(
            role: .assistant, content: "",
            toolCalls: [pool, call("c")])
        let stored = try turn(
            [user("q"), first, Message(role: .tool, content: "x", toolCallID: "p")], inputs: 1)
        let theirs = [user("q"), asking("c")]
        #expect(HistoryReconciliation.of(prior: theirs, context: [stored], turnCount: 1) == .append)
    }

    @Test("tell a client's place in the history by the ids of their calls")
    func place() throws {
        func history() throws -> [StoredTurn] {
            try (1...3).map { number in
                var stored = try turn([user("q\(number)"), asking("c\(number)")])
                stored.sequence = number
                return stored
            }
        }
        func fit(_ prior: [Message]) throws -> HistoryReconciliation {
            HistoryReconciliation.of(prior: prior, context: try history(), turnCount: 3)
        }
        #expect(try fit([asking("c3")]) == .append)
        #expect(try fit([asking("c2")]).forkedAfter == 2)
        // A proxy that gives calls other ids brings a history of its own.
        #expect(try fit([user("q3"), asking("x")]).carried.count == 2)
        // Many write the arguments anew.
        var written = asking("c3")
        written.toolCalls?[0].arguments = #"{ "n" : "\u00e9\n" }"#
        #expect(try fit([written]) == .append)
    }

    @Test(
        "may have their answers brought again where the turn that had them was cut off, and had called no tools"
    )
    func again() throws {
        let asked = try turn([user("q"), asking("c1")])
        var cut = try turn([answer("c1"), Message(role: .assistant, content: "Half a")])
        (cut.sequence, cut.turn.ending) = (2, .cancelled)
        let fit = HistoryReconciliation.append.answering([answer("c1")], visible: [asked, cut])
        #expect(fit.forkedAfter == 1)
        #expect(HistoryReconciliation.append.answering([user("well?")], visible: [asked, cut]) == .append)
        var whole = cut
        whole.turn.ending = .complete
        #expect(HistoryReconciliation.append.answering([answer("c1")], visible: [asked, whole]) == .append)
        var acted = cut
        acted.turn.inputCount = 1
        #expect(HistoryReconciliation.append.answering([answer("c1")], visible: [asked, acted]) == .append)
    }

    @Test("have their answers taken by the agent that called, and route by what had led to the calls")
    func asker() throws {
        var stored = try turn([user("q"), asking("c1")])
        stored.turn.agent = "billing"
        #expect(TurnOrder(new: [answer("c1")]).asker(in: [stored]) == "billing")
        #expect(TurnOrder(new: [answer("c2")]).asker(in: [stored]) == nil)
        #expect(TurnOrder(new: [answer("c1"), user("well?")]).asker(in: [stored]) == nil)
        let redaction = try Redaction(
            try AgentPoolSpec.parse(
                yaml: "agents: [{name: a, instructions: i}]\nguard: {redact: [{name: code, pattern: '4711'}]}"
            ).guard)
        let stateless = TurnOrder(prior: [user("a"), user("pay 4711"), asking("c1")], new: [answer("c1")])
        #expect(stateless.isAnswer && stateless.question(redaction) == user("pay [redacted]"))
        #expect(!TurnOrder(prior: [user("a")], new: [user("b")]).isAnswer)
    }

    @Test("are offered to a turn that goes on only by the request that began it")
    func goesOn() throws {
        var order = TurnOrder(new: [user("q")])
        order.functions = ClientFunctions([ChatFunction(name: "f", description: "", parameters: "{}")])
        order.digest = "d1"
        #expect(order.functions(after: nil) == order.functions)
        var begun = try turn([user("q"), asking("c1")], inputs: 1).turn
        begun.requestDigest = "d1"
        #expect(order.functions(after: begun) == order.functions)
        begun.requestDigest = "d2"
        #expect(order.functions(after: begun) == ClientFunctions())
        // It has judged nothing yet that could be gone on with.
        begun.inputCount = nil
        #expect(order.functions(after: begun) == order.functions)
    }

    @Test("are redacted, and so are the calls of a history, whatever else it shares with ours")
    func redacted() throws {
        let redaction = try Redaction(
            try AgentPoolSpec.parse(
                yaml: "agents: [{name: a, instructions: i}]\nguard: {redact: [{name: code, pattern: '4711'}]}"
            ).guard)
        var order = TurnOrder(new: [user("q")])
        order.functions = ClientFunctions([
            ChatFunction(name: "f4711", description: "of 4711", parameters: #"{"enum":["4711"]}"#)
        ])
        #expect(
            order.redacted(by: redaction).functions.functions == [
                ChatFunction(
                    name: "f4711", description: "of [redacted]", parameters: #"{"enum":["[redacted]"]}"#)
            ])
        var theirs = asking("c1")
        theirs.toolCalls?[0].arguments = #"{"n":"4711"}"#
        let prior = redaction.redacted([theirs], except: [try turn([user("q"), asking("c9")])])
        #expect(prior[0].toolCalls?[0].arguments == #"{"n":"[redacted]"}"#)
    }

    // MARK: Telling

    @Test("have their calls told in a chat's last chunks, whole, and in a body with no words")
    func chatReply() throws {
        var encoder = ChatStreamEncoder(
            turn: .mint(), created: 7, model: "m", includeUsage: false, framing: .untilClose)
        let text = String(
            buffer: encoder.end(.toolCalls, calls: [call("c1"), call("c2")], usage: TokenUsage()))
        let choices = try text.components(separatedBy: "\n\n").filter { $0.hasPrefix("data: {") }.map {
            event in
            let json = try JSONSerialization.jsonObject(with: Data(event.dropFirst(6).utf8)) as? [String: Any]
            return try #require((json?["choices"] as? [[String: Any]])?.first)
        }
        #expect(choices.count == 4)
        #expect((choices[0]["delta"] as? [String: Any])?["role"] as? String == "assistant")
        for (index, id) in ["c1", "c2"].enumerated() {
            let delta = try #require(choices[index + 1]["delta"] as? [String: Any])
            let told = try #require((delta["tool_calls"] as? [[String: Any]])?.first)
            #expect(told["index"] as? Int == index && told["id"] as? String == id)
            #expect((told["function"] as? [String: Any])?["arguments"] as? String == #"{"n":"é\n"}"#)
        }
        #expect(choices[3]["finish_reason"] as? String == "tool_calls")

        let body = ChatCompletion.encode(
            turn: .mint(), created: 7, model: "m", text: "", calls: [call("c1")], finish: .toolCalls,
            usage: TokenUsage())
        let whole = try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
        let message = try #require(
            (whole?["choices"] as? [[String: Any]])?.first?["message"] as? [String: Any])
        #expect(message["content"] is NSNull)
        #expect((message["tool_calls"] as? [[String: Any]])?.first?["index"] == nil)
    }

    @Test("have their calls and answers told as items of a response and of its conversation")
    func items() throws {
        let session = try SessionID("s", param: "")
        let asked = try turn([user("q"), asking("c1", text: "I look.")])
        let items = TurnItems(stored: asked, session: session, serverLabel: "pool").all
        let objects = try items.map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.json)) as? [String: Any])
        }
        #expect(objects.map { $0["type"] as? String } == ["message", "message", "function_call"])
        #expect(objects[2]["call_id"] as? String == "c1" && objects[2]["status"] as? String == "completed")
        #expect(Set(items.map(\.id)).count == 3)

        let answered = try turn([asking("c1"), answer("c1"), Message(role: .assistant, content: "Blank.")])
        let next = TurnItems(stored: answered, session: session, serverLabel: "pool").all
        let types = try next.map {
            (try JSONSerialization.jsonObject(with: Data($0.json)) as? [String: Any])?["type"] as? String
        }
        #expect(types == ["function_call", "function_call_output", "message"])
        #expect(next.allSatisfy { ResponseItemID.turn(of: $0.id)?.value == "t" })
    }

    @Test("have their calls streamed to a response once the turn is durable")
    func responseEvents() throws {
        let stored = try turn([user("q"), asking("c1", text: "I look.")])
        let encoded = ResponseStreamEncoder.retold(
            stored, ResponseID(session: try SessionID("s", param: ""), turn: stored.turn.id),
            serverLabel: "pool", after: nil, framing: .untilClose)
        let text = String(buffer: try #require(encoded))
        let names = text.components(separatedBy: "\n").filter { $0.hasPrefix("event: ") }.map {
            $0.dropFirst(7)
        }
        let begun = try #require(
            text.components(separatedBy: "\n").first { $0.contains("output_item.added") && $0.contains("c1") }
        )
        #expect(begun.contains(#""status":"in_progress""#) && begun.contains(#""arguments":"""#))
        #expect(
            names == [
                "response.created", "response.in_progress", "response.output_item.added",
                "response.content_part.added", "response.output_text.delta", "response.output_text.done",
                "response.content_part.done", "response.output_item.done", "response.output_item.added",
                "response.function_call_arguments.delta", "response.function_call_arguments.done",
                "response.output_item.done", "response.completed",
            ])
    }
}

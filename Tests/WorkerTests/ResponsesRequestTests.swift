/// Bodies of the Responses API: what is taken, and what an error names.
import Agent
import Foundation
import Memory
import NIOHTTP1
import Testing

@testable import Worker

@Suite("A request for a response")
struct ResponsesRequestTests {
    private func parse(_ json: String) throws(APIError) -> ResponsesRequest {
        try ResponsesRequest.parse(Array(json.utf8))
    }

    private func failure(_ json: String) -> APIError? {
        do throws(APIError) {
            _ = try parse(json)
            return nil
        } catch { return error }
    }

    private func id(_ session: String, _ turn: String) throws -> ResponseID {
        ResponseID(session: try SessionID(session, param: ""), turn: try #require(TurnID(turn)))
    }

    @Test("is read with all that it may carry")
    func whole() throws {
        let request = try parse(
            """
            {"model":"a","stream":true,"instructions":"brief","temperature":0.5,"top_p":1,"max_output_tokens":10,
            "user":"u","metadata":{"b":"2","session_id":"s"},"store":true,"background":false,"tools":[],
            "tool_choice":"auto","text":{"format":{"type":"text"},"verbosity":"low"},
            "include":["reasoning.encrypted_content"],"reasoning":{"effort":"low"},"input":[
            {"role":"developer","content":"shorter"},{"type":"message","role":"user","content":"one"},
            {"content":[{"type":"output_text","text":"two","annotations":[]}],"role":"assistant","type":"message"},
            {"role":"user","content":[{"type":"input_text","text":"three"}]}]}
            """)
        #expect(request.model == "a" && request.stream && request.user == "u")
        #expect(request.instructions == "brief" && request.allInstructions == "brief\n\nshorter")
        #expect(request.overrides.temperature == 0.5 && request.overrides.maxTokens == 10)
        #expect(request.metadata.map(\.name) == ["b", "session_id"] && request.sessionID == "s")
        #expect(
            request.messages == [
                Message(role: .user, content: "one"), Message(role: .assistant, content: "two"),
                Message(role: .user, content: "three"),
            ])
    }

    @Test("may be a text alone, and go on after a response or in a conversation")
    func short() throws {
        #expect(try parse(#"{"input":"hi"}"#).messages == [Message(role: .user, content: "hi")])
        let previous = try id("s", "t")
        #expect(
            try parse(#"{"input":"hi","previous_response_id":"\#(previous.text)"}"#).previous == previous)
        #expect(try parse(#"{"input":"hi","conversation":"c"}"#).conversation?.value == "c")
        #expect(try parse(#"{"input":"hi","conversation":{"id":"c"}}"#).conversation?.value == "c")
    }

    @Test(
        "may repeat an earlier response's output: its calls are passed over, the words around them one reply")
    func repeated() throws {
        let request = try parse(
            """
            {"input":[{"role":"user","content":"q"},{"role":"assistant","content":"Let me see. "},
            {"type":"mcp_call","id":"mcp_1","name":"f","arguments":"{}","server_label":"p","output":"x"},
            {"role":"assistant","content":"It is here."},{"role":"user","content":"thanks"}]}
            """)
        #expect(request.messages.map(\.content) == ["q", "Let me see. It is here.", "thanks"])
    }

    @Test(
        "that can't be honoured is refused by the field's name",
        arguments: [
            (#"{}"#, "input"),
            (#"{"input":""}"#, "input"),
            (#"{"input":[]}"#, "input"),
            (#"{"input":7}"#, "input"),
            (#"{"input":[{"role":"system","content":"x"}]}"#, "input"),
            (#"{"input":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}"#, "input"),
            (#"{"input":["x"]}"#, "input[0]"),
            (#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#, "input[0]"),
            (
                #"{"input":[{"output":[1],"call_id":"c","type":"function_call_output"}]}"#,
                "input[0].output[0]"
            ),
            (#"{"input":[{"output":"x","type":"function_call_output"}]}"#, "input[0].call_id"),
            (#"{"input":[{"call_id":"c","type":"function_call_output"}]}"#, "input[0].output"),
            (#"{"input":[{"call_id":"c","arguments":"{}","type":"function_call"}]}"#, "input[0].name"),
            (#"{"input":[{"call_id":"c","name":"f","arguments":"{}","type":"function_call"}]}"#, "input"),
            (#"{"input":[{"role":"tool","content":"x"}]}"#, "input[0].role"),
            (#"{"input":[{"content":"x"}]}"#, "input[0].role"),
            (
                #"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]}"#,
                "input[0].content[0]"
            ),
            (#"{"store":false,"input":"x"}"#, "store"),
            (#"{"background":true,"input":"x"}"#, "background"),
            (#"{"tools":[{"type":"web_search"}],"input":"x"}"#, "tools[0]"),
            (#"{"max_tool_calls":1,"input":"x"}"#, "max_tool_calls"),
            (#"{"prompt":{"id":"p"},"input":"x"}"#, "prompt"),
            (#"{"text":{"format":{"type":"json_schema","schema":{}}},"input":"x"}"#, "text.format"),
            (#"{"include":["message.output_text.logprobs"],"input":"x"}"#, "include"),
            (#"{"temperature":3,"input":"x"}"#, "temperature"),
            (#"{"max_output_tokens":0,"input":"x"}"#, "max_output_tokens"),
            (#"{"metadata":{"a":1},"input":"x"}"#, "metadata.a"),
            (#"{"metadata":{"a":null},"input":"x"}"#, "metadata.a"),
            (#"{"conversation":{},"input":"x"}"#, "conversation"),
            (#"{"previous_response_id":"resp_7","input":"x"}"#, "previous_response_id"),
            (#"{"previous_response_id":"resp_cwB0","conversation":"c","input":"x"}"#, "previous_response_id"),
        ])
    func refused(json: String, param: String) throws {
        let error = try #require(failure(json))
        #expect(error.status == .badRequest)
        #expect(error.param == param)
    }

    @Test("may decide about calls in place of messages, also where the client repeats what it was told")
    func decisions() throws {
        let turn = try #require(TurnID("t"))
        let (one, two) = (
            ApprovalRequestID(turn: turn, call: "c1"), ApprovalRequestID(turn: turn, call: "c2")
        )
        let answers = """
            {"type":"mcp_approval_response","approval_request_id":"\(one.text)","approve":true,"id":null},
            {"approve":false,"reason":"too dear","approval_request_id":"\(two.text)","type":"mcp_approval_response"}
            """
        let request = try parse(#"{"conversation":"c","instructions":"brief","input":[\#(answers)]}"#)
        #expect(request.decisions?.turn == turn && request.messages.isEmpty)
        #expect(request.decisions?.all == ["c1": .approved, "c2": .refused(reason: "too dear")])
        var order = TurnOrder(new: [])
        order.functions = ClientFunctions([ChatFunction(name: "f", description: "", parameters: "{}")])
        try request.decisions?.order(&order, after: id("c", "t"), in: request.conversation)
        #expect(order.turnID == turn && order.decisions?.count == 2 && order.after == nil)
        // They were not there when the turn began.
        #expect(order.functions == ClientFunctions())
        #expect(throws: APIError.self) { try request.decisions?.order(&order, after: nil, in: nil) }
        #expect(throws: APIError.self) {
            try request.decisions?.order(&order, after: id("c", "other"), in: request.conversation)
        }
        let repeated = """
            {"input":[{"role":"user","content":"send it"},{"role":"assistant","content":"One moment."},
            {"type":"mcp_approval_request","id":"\(one.text)","name":"f","arguments":"{}","server_label":"p"},\(answers)]}
            """
        #expect(try parse(repeated).decisions?.all.count == 2)
    }

    @Test(
        "whose decision is not clear is refused by the field's name",
        arguments: [
            (#"[{"type":"mcp_approval_response","approve":true}]"#, "input[0].approval_request_id"),
            (
                #"[{"type":"mcp_approval_response","approval_request_id":"mcpr_x","approve":true}]"#,
                "input[0].approval_request_id"
            ),
            (#"[{"type":"mcp_approval_response","approval_request_id":"ONE"}]"#, "input[0].approve"),
            (
                #"[{"type":"mcp_approval_response","approval_request_id":"ONE","approve":"yes"}]"#,
                "input[0].approve"
            ),
            (
                #"[{"type":"mcp_approval_response","approval_request_id":"ONE","approve":false,"reason":"LONG"}]"#,
                "input[0].reason"
            ),
            (
                #"[{"type":"mcp_approval_response","approval_request_id":"ONE","approve":true},{"type":"mcp_approval_response","approval_request_id":"ONE","approve":false}]"#,
                "input[1].approval_request_id"
            ),
            (
                #"[{"type":"mcp_approval_response","approval_request_id":"ONE","approve":true},{"type":"mcp_approval_response","approval_request_id":"TWO","approve":true}]"#,
                "input[1].approval_request_id"
            ),
            (
                #"[{"role":"user","content":"do"},{"type":"mcp_approval_response","approval_request_id":"ONE","approve":true}]"#,
                "input"
            ),
            (
                #"[{"type":"mcp_approval_request"},{"type":"mcp_approval_response","approval_request_id":"ONE","approve":true},{"role":"user","content":"do"}]"#,
                "input"
            ),
        ])
    func unclearDecisions(input: String, param: String) throws {
        let names = try ["s", "t"].map { ApprovalRequestID(turn: try #require(TurnID($0)), call: "c").text }
        let input = input.replacing("ONE", with: names[0]).replacing("TWO", with: names[1])
            .replacing("LONG", with: String(repeating: "x", count: 4097))
        let error = try #require(failure(#"{"input":\#(input)}"#))
        #expect(error.status == .badRequest)
        #expect(error.param == param)
    }

    @Test("that goes on after a response takes no words beside its decision, not even repeated ones")
    func decisionAfterResponse() throws {
        let name = ApprovalRequestID(turn: try #require(TurnID("t")), call: "c").text
        let error = failure(
            """
            {"previous_response_id":"\(try id("s", "t").text)","input":[{"role":"user","content":"q"},
            {"type":"mcp_approval_request"},
            {"type":"mcp_approval_response","approval_request_id":"\(name)","approve":true}]}
            """)
        #expect(error?.param == "input")
    }

    @Test("that is no JSON says so", arguments: ["", "{", "[1]", #"{"input":[}"#, #"{"input":"x"} x"#])
    func broken(json: String) throws {
        let error = try #require(failure(json))
        #expect(error.status == .badRequest)
        #expect(error.param == nil)
    }

    @Test("bounds what it may have repeated to it")
    func metadataBounds() {
        let many = (0...ResponsesRequest.maxPairs).map { #""k\#($0)":"v""# }.joined(separator: ",")
        #expect(failure(#"{"input":"x","metadata":{\#(many)}}"#)?.param == "metadata.k16")
        let long = String(repeating: "v", count: ResponsesRequest.maxValue + 1)
        #expect(failure(#"{"input":"x","metadata":{"k":"\#(long)"}}"#)?.param == "metadata.k")
    }

    @Test("survives any mutilation with an error or a request, never a crash")
    func mutilated() {
        let whole = Array(
            #"{"model":"a","metadata":{"k":"v"},"conversation":{"id":"c"},"input":[{"role":"user","content":[{"type":"input_text","text":"é\ud83d"}]}]}"#
                .utf8)
        var random = Seeded(seed: 12)
        var read = 0
        for _ in 0..<5000 {
            if (try? ResponsesRequest.parse(random.mutilated(whole))) != nil { read += 1 }
        }
        #expect(read < 5000)
    }

    @Test("names a response by an id that says whose turn it is, whatever the ids are made of")
    func ids() throws {
        for (session, turn) in [("s", "t"), ("sess-a/b?c", "turn \"1\""), ("größe", "t.1")] {
            let id = try id(session, turn)
            #expect(ResponseID(id.text) == id)
            #expect(id.text.utf8.allSatisfy { $0 == 0x5F || $0 == 0x2D || ($0 > 0x2F && $0 < 0x7B) })
        }
        for part in [1, 12] {
            let id = ResponseID(session: try SessionID("s", param: ""), turn: .mint(), part: part)
            #expect(ResponseID(id.text) == id)
        }
        let odd = ["s\0t\00", "s\0t\001", "s\0t\0x", "s\0t\01\02"].map { Array($0.utf8) }
        for bytes in odd {
            let text = "resp_" + Data(bytes).base64EncodedString().replacing("=", with: "")
            #expect(ResponseID(text) == nil)
        }
        let others = ["", "resp_", "resp_a", "resp_!!!!", "msg_cwB0", "resp_c3Q", "resp_AHQ", "resp_cwA"]
        for text in others { #expect(ResponseID(text) == nil) }
    }

    @Test("names one session: by what it goes on after, and by nothing else at the same time")
    func sessions() throws {
        let previous = try id("s", "t").text
        let request = try parse(#"{"input":"x","previous_response_id":"\#(previous)"}"#)
        #expect(try PublicAPI.session(of: request, ["Cookie": "agentpool-session=c"])?.value == "s")
        #expect(try PublicAPI.session(of: request, ["X-Session-Id": "s"])?.value == "s")
        #expect(throws: APIError.self) { try PublicAPI.session(of: request, ["X-Session-Id": "other"]) }
        let talk = try parse(#"{"input":"x","conversation":"c","metadata":{"session_id":"d"}}"#)
        #expect(throws: APIError.self) { try PublicAPI.session(of: talk, [:]) }
        let free = try parse(#"{"input":"x","metadata":{"session_id":"d"}}"#)
        #expect(try PublicAPI.session(of: free, [:])?.value == "d")
        #expect(try PublicAPI.session(of: parse(#"{"input":"x"}"#), [:]) == nil)
    }

    @Test("for a conversation may say nothing, and not what was said in it")
    func conversations() throws {
        #expect(try ConversationRequest.parse([]).metadata.isEmpty)
        let named = try ConversationRequest.parse(Array(#"{"metadata":{"k":"v"},"items":[]}"#.utf8))
        #expect(named.metadata.map(\.value) == ["v"])
        do throws(APIError) {
            _ = try ConversationRequest.parse(Array(#"{"items":[{"role":"user","content":"x"}]}"#.utf8))
            Issue.record("taken")
        } catch { #expect(error.param == "items" && error.message.contains("input")) }
    }
}

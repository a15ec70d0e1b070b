import Memory
import Testing

@testable import Agent

@Suite struct ChatStreamTests {
    /// A reply as a server sends it, with what servers put around it.
    private static let transcript = """
        : keep-alive\r
        data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\r
        \r
        data: {"choices":[{"index":0,"delta":{"content":"Grüße, "},"finish_reason":null}],"usage":null}

        data: {"choices":[{"index":0,"delta":{"content":"\\ud83d\\ude00 4711"},"logprobs":null}]}

        event: message
        data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"find","arguments":""}}]}}]}

        data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"id\\":1}"}}]}}]}

        data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

        data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":8}}}

        data: [DONE]


        """

    private static let deltas: [ChatDelta] = [
        .text("Grüße, "), .text("😀 4711"), .toolCall(ToolCallDelta(index: 0, id: "c1", name: "find")),
        .toolCall(ToolCallDelta(index: 0, arguments: #"{"id":1}"#)), .finish(.toolCalls),
        .usage(TokenUsage(promptTokens: 12, completionTokens: 5)),
    ]

    private static func deltas(of pieces: [ArraySlice<UInt8>]) throws -> [ChatDelta] {
        var stream = ChatStream()
        var deltas: [ChatDelta] = []
        for piece in pieces { try stream.feed(Array(piece), into: &deltas) }
        try stream.end()
        #expect(stream.isDone)
        return deltas
    }

    @Test("A whole reply gives its deltas, and any cut of its bytes gives the same ones")
    func everySplit() throws {
        let bytes = Array(Self.transcript.utf8)
        #expect(try Self.deltas(of: [bytes[...]]) == Self.deltas)
        for cut in 1..<bytes.count {
            #expect(try Self.deltas(of: [bytes[..<cut], bytes[cut...]]) == Self.deltas)
        }
        #expect(try Self.deltas(of: bytes.indices.map { bytes[$0...$0] }) == Self.deltas)
    }

    @Test("A damaged stream ends the same way wherever its bytes are cut")
    func damaged() {
        func outcome(_ pieces: [ArraySlice<UInt8>]) -> (deltas: [ChatDelta], error: ModelError?) {
            var stream = ChatStream()
            var deltas: [ChatDelta] = []
            do {
                for piece in pieces { try stream.feed(Array(piece), into: &deltas) }
                try stream.end()
                return (deltas, nil)
            } catch {
                return (deltas, error)
            }
        }
        var random = SplitMix(state: 7)
        for _ in 0..<1000 {
            var bytes = Array(Self.transcript.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: bytes.indices, using: &random)
                bytes[place] = Array(#"{}[]",:\n0eu d"#.utf8).randomElement(using: &random) ?? 0
            }
            let cut = Int.random(in: bytes.indices, using: &random)
            let whole = outcome([bytes[...]])
            let halves = outcome([bytes[..<cut], bytes[cut...]])
            #expect(whole.deltas == halves.deltas)
            #expect(whole.error == halves.error)
        }
    }

    @Test("Pieces of calls are put together by their index, however they interleave")
    func assembly() throws {
        var reply = CollectedReply()
        var events: [TurnEvent] = []
        try reply.take(
            [
                .toolCall(ToolCallDelta(index: 1, id: "b", name: "second")),
                .toolCall(ToolCallDelta(index: 0, id: "a", name: "first", arguments: "{")),
                .toolCall(ToolCallDelta(index: 1, arguments: "{}")),
            ], telling: &events)
        #expect(events.isEmpty)
        try reply.take(
            [.toolCall(ToolCallDelta(index: 0, arguments: "}")), .finish(.toolCalls)], telling: &events)
        let calls = [
            ToolCall(id: "a", name: "first", arguments: "{}"),
            ToolCall(id: "b", name: "second", arguments: "{}"),
        ]
        #expect(reply.message == Message(role: .assistant, content: "", toolCalls: calls))
        #expect(
            events.compactMap { event in
                if case .toolCall(let call) = event { call } else { nil }
            } == calls)
    }

    @Test("A reply beyond its bound is broken off")
    func replyBound() {
        var reply = CollectedReply()
        var events: [TurnEvent] = []
        let piece = String(repeating: "x", count: 1 << 20)
        #expect(throws: ModelError.self) {
            for _ in 0..<5 { try reply.take([.text(piece)], telling: &events) }
        }
    }

    @Test("A stream that ends without a finish reason and without [DONE] is an error")
    func truncated() throws {
        var stream = ChatStream()
        var deltas: [ChatDelta] = []
        try stream.feed(
            Array("data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n".utf8), into: &deltas)
        let error = #expect(throws: ModelError.self) { try stream.end() }
        #expect(error?.kind == .interrupted)
        #expect(deltas == [.text("half")])
    }

    @Test("A finish reason without [DONE] is an end, and [DONE] without a finish reason is a stop")
    func oneOfBoth() throws {
        var stream = ChatStream()
        var deltas: [ChatDelta] = []
        try stream.feed(
            Array("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n".utf8), into: &deltas
        )
        try stream.end()
        #expect(deltas == [.finish(.length)])
        stream = ChatStream()
        deltas = []
        try stream.feed(Array("data: [DONE]\n\ndata: ignored\n\n".utf8), into: &deltas)
        try stream.end()
        #expect(deltas == [.finish(.stop)])
    }

    @Test("A finish reason that comes twice counts once")
    func twiceFinished() throws {
        var stream = ChatStream()
        var deltas: [ChatDelta] = []
        let finish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        try stream.feed(Array((finish + finish + "data: [DONE]\n\n").utf8), into: &deltas)
        #expect(deltas == [.finish(.stop)])
    }

    @Test(
        "An error object in the stream is told with its message and code, after the deltas before it",
        arguments: [
            (#"{"error":{"message":"on fire","code":"engine_error"}}"#, "on fire", "engine_error" as String?),
            (
                #"{"error":{"message":"on fire","type":"server_error","code":null}}"#, "on fire",
                "server_error"
            ),
            (#"{"error":"on fire"}"#, "on fire", nil),
            (#"{"error":{"message":"on\n\nfire","code":500}}"#, "on fire", "500"),
        ])
    func errorObject(json: String, message: String, code: String?) {
        var stream = ChatStream()
        var deltas: [ChatDelta] = []
        let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: \(json)\n\n"
        let error = #expect(throws: ModelError.self) { try stream.feed(Array(text.utf8), into: &deltas) }
        #expect(deltas == [.text("a")])
        #expect(error?.kind == .rejected)
        #expect(error?.message == message)
        #expect(error?.code == code)
        #expect(stream.failure == error)
    }

    @Test(
        "What is not a chunk is an error, not a crash and not silence",
        arguments: [
            "{not json}", "[]", "7", #"{"choices":{}}"#, #"{"choices":[{"delta":{"content":7}}]}"#,
            #"{"choices":[]} x"#,
        ])
    func malformed(data: String) {
        var stream = ChatStream()
        var deltas: [ChatDelta] = []
        let error = #expect(throws: ModelError.self) {
            try stream.feed(Array("data: \(data)\n\n".utf8), into: &deltas)
        }
        #expect(error?.kind == .malformed)
    }

    @Test("Other choices, refusals, unknown fields and unknown finish reasons are taken as they are meant")
    func variants() throws {
        var stream = ChatStream()
        var deltas: [ChatDelta] = []
        let chunks = [
            #"{"choices":[{"index":1,"delta":{"content":"other"},"finish_reason":"stop"}]}"#,
            #"{"choices":[{"delta":{"refusal":"I won't.","content":null,"reasoning_content":"hm"},"index":0}]}"#,
            #"{"choices":null,"x_groq":{"id":1}}"#, #"{"choices":[{"delta":null,"finish_reason":"eos"}]}"#,
            "[DONE]",
        ]
        try stream.feed(Array(chunks.map { "data: \($0)\n\n" }.joined().utf8), into: &deltas)
        #expect(deltas == [.text("I won't."), .finish(.stop)])
    }

    @Test(
        "Error bodies are read in every usual shape, and pages are not shown",
        arguments: [
            (#"{"error":{"message":"m"}}"#, "m" as String?), (#"{"error":"m"}"#, "m"),
            (#"{"message":"m"}"#, "m"),
            (#"{"detail":"m"}"#, "m"), (#"{"detail":[{"msg":"x"}]}"#, nil), ("plain text", "plain text"),
            ("<html>x</html>", nil), ("", nil),
        ])
    func errorBodies(body: String, message: String?) {
        #expect(UpstreamErrorText(body: Array(body.utf8)).shown(hiding: nil) == message)
    }

    @Test("An error's text is bounded and hides the key that was sent")
    func errorText() {
        let body = #"{"error":{"message":"bad key sk-secret here \#(String(repeating: "y", count: 5000))"}}"#
        let shown = UpstreamErrorText(body: Array(body.utf8)).shown(hiding: "sk-secret")
        #expect(shown?.contains("sk-secret") == false)
        #expect(shown?.hasPrefix("bad key [redacted] here y") == true)
        #expect((shown?.utf8.count ?? 0) <= UpstreamErrorText.messageLimit)
    }
}

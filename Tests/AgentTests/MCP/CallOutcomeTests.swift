import Memory
import Testing
import Transport

@testable import Agent

/// What a model is told of a call.
@Suite struct CallOutcomeTests {
    private func text(_ result: String, hidden: HiddenValues = .none) -> String {
        ToolResultText(result: result.bytes).text(hiding: hidden)
    }

    @Test("Every type of content becomes text, and what is binary is described")
    func content() {
        let result = """
            {"content":[{"type":"text","text":"Hello"},
            {"type":"image","data":"QUJDRA==","mimeType":"image/png"},{"type":"audio","data":"QUJD","mimeType":"audio/wav"},
            {"type":"resource","resource":{"uri":"file:///a","mimeType":"text/plain","text":"inside"}},
            {"type":"resource","resource":{"uri":"file:///b","blob":"QUJDRA=="}},
            {"type":"resource_link","uri":"file:///c","name":"c","description":"the third"},
            {"type":"hologram","x":{}},17],"isError":false}
            """
        #expect(
            text(result) == """
                Hello
                [image, image/png, 4 bytes, not shown]
                [audio, audio/wav, 3 bytes, not shown]
                [resource, file:///a, text/plain]
                inside
                [resource, file:///b, 4 bytes, not shown]
                [link, c, file:///c, the third]
                [content of a type that can't be shown, hologram]
                [content that can't be read]
                """)
    }

    @Test("Structured content is shown, but not a second time where a text says the same")
    func structured() {
        #expect(text(#"{"content":[],"structuredContent":{"a": [1, 2]}}"#) == #"{"a":[1,2]}"#)
        #expect(
            text(#"{"content":[{"type":"text","text":"{ \"a\": 1 }"}],"structuredContent":{"a":1}}"#)
                == #"{ "a": 1 }"#)
        #expect(
            text(#"{"content":[{"type":"text","text":"done"}],"structuredContent":{"result":"done"}}"#)
                == "done")
        #expect(text(#"{"content":[{"type":"text","text":"7"}],"structuredContent":{"result":7}}"#) == "7")
        #expect(
            text(#"{"content":[{"type":"text","text":"short"}],"structuredContent":{"a":1}}"#)
                == "short\n{\"a\":1}")
        #expect(text(#"{"content":[]}"#) == "(The tool answered without content.)")
    }

    @Test("A result's text is bounded, with a word about it, and no secret is half shown at the cut")
    func bounded() throws {
        let headers = try SecretHeaders(["X-Key": "sk-1234567890"], of: .office)
        let filler = String(repeating: "x", count: ToolResultText.maxBytes - 5)
        let shown = text(
            #"{"content":[{"type":"text","text":"\#(filler)sk-1234567890\#(filler)"}]}"#,
            hidden: headers.hidden)
        #expect(shown.utf8.count < ToolResultText.maxBytes + 200)
        #expect(shown.contains("cut off here"))
        #expect(!shown.contains("sk-"))
    }

    private func result(_ reply: MCPReply, _ tool: Tool = .book, wasSent: Bool = true) -> ToolResult {
        CallOutcome(tool: tool, server: .office, hidden: .none).result(of: reply, wasSent: wasSent)
    }

    @Test("Results: done, failed by the tool's own word, waiting for a person, unreadable")
    func results() {
        #expect(
            result(.result(#"{"content":[{"type":"text","text":"ok"}]}"#.bytes)) == ToolResult(.done, "ok"))
        let failed = result(.result(#"{"content":[{"type":"text","text":"no"}],"isError":true}"#.bytes))
        #expect(failed == ToolResult(.failed, "no"))
        #expect(
            result(.result(#"{"resultType":"input_required","inputRequests":{}}"#.bytes)).outcome == .failed)
        #expect(result(.result(#"{"resultType":"task"}"#.bytes)).outcome == .unknown)
        #expect(result(.result("[]".bytes)).outcome == .unknown)
        for content in [#""ok""#, "{}", "7"] {
            #expect(result(.result(#"{"content":\#(content)}"#.bytes)).outcome == .unknown)
        }
        #expect(
            result(.result(#"{"content":null,"structuredContent":{"a":1}}"#.bytes))
                == ToolResult(.done, #"{"a":1}"#))
        #expect(result(.result(#"{"content":["ok"]}"#.bytes)).text == "[content that can't be read]")
    }

    @Test(
        "A server that says no has failed the call; a gateway that lost the answer leaves it unknown",
        arguments: [
            (400, ToolOutcome.failed), (401, .failed), (403, .failed), (404, .failed), (413, .failed),
            (429, .failed), (301, .failed), (501, .failed), (202, .unknown), (408, .unknown), (499, .unknown),
            (500, .unknown), (502, .unknown), (503, .unknown), (504, .unknown), (524, .unknown),
        ])
    func statuses(_ status: Int, _ outcome: ToolOutcome) {
        #expect(result(.refused(status: status, text: "t", location: nil)).outcome == outcome)
    }

    @Test("An error in the protocol's form is a refusal, whatever its status")
    func errors() {
        for status in [200, 400, 500] {
            let refused = result(
                .error(MCPServerError(code: -32602, message: "no such city"), status: status))
            #expect(refused.outcome == .failed)
            #expect(refused.text.contains("no such city"))
        }
    }

    @Test(
        "Without an answer a call is unknown where something may have been sent, and not sent only where nothing was",
        arguments: [
            TransportError.Kind.reset, .timeout(.total), .timeout(.idle), .cancelled, .withheld, .shutdown,
            .malformedResponse, .tooLarge, .connect, .tls,
        ])
    func broken(_ kind: TransportError.Kind) {
        let reply = MCPReply.broken(TransportError(kind, "m"))
        #expect(result(reply, wasSent: true).outcome == .unknown)
        #expect(result(reply, wasSent: false).outcome == .notSent)
    }

    @Test("An answer that is too large is not worth another call")
    func tooLarge() {
        let once = result(.tooLarge(limit: 10), .book)
        #expect(once.outcome == .unknown)
        #expect(once.text.contains("too large"))
        #expect(result(.tooLarge(limit: 10), .look).outcome == .failed)
    }

    @Test("A call that isn't repeatable may be sent once, a repeatable one again")
    func permits() {
        let once = SendPermit(isRepeatable: false)
        #expect(!once.wasUsed)
        #expect([once.mayBeSent(), once.mayBeSent(), once.mayBeSent()] == [true, false, false])
        #expect(once.wasUsed)
        let often = SendPermit(isRepeatable: true)
        #expect([often.mayBeSent(), often.mayBeSent()] == [true, true])
    }
}

import Memory
import PoolAPI
import Testing

@testable import Agent

@Suite("Redaction") struct RedactionTests {
    static func redaction(_ rules: String, more: String = "") throws -> Redaction {
        try Redaction(
            try AgentPoolSpec.parse(
                yaml: "agents: [{name: a, instructions: i}]\nguard: {redact: [\(rules)]\(more)}"
            ).guard)
    }

    private static let cards =
        #"{name: card, pattern: "\\b[0-9]{4}( ?[0-9]{4}){3}\\b", replacement: "[card]"}, {name: key, pattern: "sk-[a-z0-9]{6,}"}"#

    @Test("Matches are replaced, the rest stays, and each rule counts its own")
    func texts() throws {
        let redaction = try Self.redaction(Self.cards)
        #expect(
            redaction.redacted("pay 4111 1111 1111 1111 with sk-abcdef123 or 4111111111111111.")
                == "pay [card] with [redacted] or [card].")
        #expect(redaction.redacted("41111111111111112 and 0411") == "41111111111111112 and 0411")
        #expect(redaction.counts == ["card": 2, "key": 1])
        let once = redaction.redacted("sk-abcdef123")
        #expect(redaction.redacted(once) == once)
    }

    @Test("Of matches that overlap the earliest counts, and of equals the first rule's")
    func overlaps() throws {
        let redaction = try Self.redaction(
            #"{name: b, pattern: "bcd", replacement: "1"}, {name: a, pattern: "abc", replacement: "2"}, {name: c, pattern: "abcd", replacement: "3"}"#
        )
        #expect(redaction.redacted("abcd") == "2d")
    }

    @Test("JSON stays JSON, inside strings, keys and numbers; what holds nothing stays byte for byte")
    func json() throws {
        let redaction = try Self.redaction(Self.cards)
        #expect(
            redaction.redacted(
                json: #"{"a": ["4111\u00201111 1111 1111", 4111111111111111, 1.50], "sk-abcdef1": true}"#)
                == #"{"a":["[card]","[card]",1.50],"[redacted]":true}"#)
        #expect(redaction.redacted(json: #"{ "a" :  1.50 }"#) == #"{ "a" :  1.50 }"#)
        #expect(redaction.redacted(json: #"{"a": sk-abcdef1"#) == #"{"a": [redacted]"#)
        let body = #"{"user":"4111111111111111","input":[{"role":"user","content":"sk-abcdef1"}]}"#
        let kept = redaction.redacted(json: Array(body.utf8), members: ["input"]).map {
            String(decoding: $0, as: UTF8.self)
        }
        #expect(kept == #"{"user":"4111111111111111","input":[{"role":"user","content":"[redacted]"}]}"#)
    }

    @Test("A message of a tool's, whoever brings it, is redacted as JSON where it is JSON")
    func toolMessage() throws {
        let redaction = try Self.redaction(Self.cards)
        let answer = Message(
            role: .tool, content: #"{"card":"4111111111111\u003111","n":7}"#, toolCallID: "c")
        #expect(redaction.redacted(answer).content == #"{"card":"[card]","n":7}"#)
        let words = Message(role: .tool, content: "It is 4111111111111111.", toolCallID: "c")
        #expect(redaction.redacted(words).content == "It is [card].")
    }

    @Test("However a model cuts its reply, what is passed on is the whole reply redacted", arguments: 1...40)
    func streams(size: Int) throws {
        let redaction = try Self.redaction(Self.cards)
        let text =
            "Your card 4111 1111 1111 1111 and 4111111111111111, the key sk-abcdef123456, no card 41111111111111112222; "
            + String(repeating: "word ", count: 30) + "at the end 4111 1111 1111 1111"
        var stream = ReplyRedaction(redaction)
        var shown: [ChatDelta] = []
        var rest = text[...]
        while !rest.isEmpty {
            let piece = rest.prefix(size)
            rest = rest.dropFirst(size)
            shown += try stream.take([.text(String(piece))])
        }
        shown += try stream.take([.finish(.stop), .usage(TokenUsage())])
        #expect(shown.suffix(2) == [.finish(.stop), .usage(TokenUsage())])
        let said = shown.reduce(into: "") { said, delta in
            if case .text(let piece) = delta { said += piece }
        }
        #expect(said == redaction.redacted(text))
        #expect(!said.contains("1111 1111"))
    }

    @Test(
        "A reply waits by the hold-back and a quarter of it, and what is left when it breaks off is passed on"
    )
    func holdBack() throws {
        let redaction = try Self.redaction(Self.cards, more: ", redactHoldBack: 8")
        var stream = ReplyRedaction(redaction)
        #expect(try stream.take([.text("12345678")]).isEmpty)
        #expect(try stream.take([.text("9")]).isEmpty)
        #expect(try stream.take([.text("0")]) == [.text("12")])
        #expect(stream.flush() == [.text("34567890")])
        #expect(stream.flush().isEmpty)
    }

    @Test(
        "A match that began in what went out hides neither another rule's match behind it nor its own rule's",
        arguments: [
            ("BEGIN 4111111111111111 and som", "e END.", "BEGIN [card] and some END."),
            ("BEGIN a BEGIN 4711 and some mo", "re END.", "BEGIN a [cut]."),
        ])
    func hidden(first: String, second: String, shown: String) throws {
        let redaction = try Self.redaction(
            #"{name: block, pattern: "BEGIN[\\s\\S]*END", replacement: "[cut]"}, {name: card, pattern: "[0-9]{16}", replacement: "[card]"}"#,
            more: ", redactHoldBack: 24")
        var stream = ReplyRedaction(redaction)
        // What follows "BEGIN " fills the hold-back.
        #expect(try stream.take([.text(first)]) == [.text("BEGIN ")])
        let rest = try stream.take([.text(second)]) + stream.flush()
        #expect("BEGIN " + rest.text == shown)
    }

    @Test(
        "A tool's answer that is a JSON object or array stays one, and escapes hide nothing; all else is text",
        arguments: [
            (#"{"card":4111111111111111,"order":{"id":7}}"#, #"{"card":"[card]","order":{"id":7}}"#),
            (" [\"user\\u0040example.com\", 7]\n", #"["[mail]",7]"#),
            (#"{ "id" :  7.50 }"#, #"{ "id" :  7.50 }"#),
            ("4111111111111111", "[card]"),
            ("[1] user@example.com", "[1] [mail]"),
            (#"{"to": "user@example.com", "note": "cut o"#, #"{"to": "[mail]", "note": "cut o"#),
        ])
    func answers(text: String, shown: String) async throws {
        let redaction = try Self.redaction(
            #"{name: card, pattern: "[0-9]{16}", replacement: "[card]"}, {name: mail, pattern: "user@example\\.com", replacement: "[mail]"}"#
        )
        let desk = ToolDesk { _ in ToolResult(.done, text) }
        let result = await desk.source.redacted(by: redaction).call(
            ToolDesk.tools[0], "{}", .seconds(1), { _ in })
        #expect(result.text == shown)
    }

    @Test("Calls are whole, and their arguments redacted, when the reply ends")
    func calls() throws {
        var stream = ReplyRedaction(try Self.redaction(Self.cards))
        #expect(
            try stream.take([
                .toolCall(ToolCallDelta(index: 1, id: "b", name: "pay", arguments: #"{"card":"4111 11"#)),
                .toolCall(ToolCallDelta(index: 0, id: "a", name: "find")),
                .toolCall(ToolCallDelta(index: 1, arguments: #"11 1111 1111"}"#)),
            ]).isEmpty)
        #expect(
            try stream.take([.finish(.toolCalls)]) == [
                .toolCall(ToolCallDelta(index: 0, id: "a", name: "find")),
                .toolCall(ToolCallDelta(index: 1, id: "b", name: "pay", arguments: #"{"card":"[card]"}"#)),
                .finish(.toolCalls),
            ])
    }

    @Test("Without rules nothing is changed and nothing waits")
    func idle() throws {
        let redaction = try Self.redaction("")
        #expect(redaction.isIdle)
        #expect(redaction.redacted(json: "{ }") == "{ }")
        #expect(redaction.redacted("4111111111111111") == "4111111111111111")
    }

    @Test(
        "A rule that would redact again and again, or everywhere, is refused by the field's name",
        arguments: [
            (#"{name: a, pattern: "x*"}"#, "guard.redact[0].pattern"),
            (#"{name: a, pattern: "(x"}"#, "guard.redact[0].pattern"),
            (#"{name: a, pattern: "x", replacement: "xx"}"#, "guard.redact[0].replacement"),
            (
                #"{name: a, pattern: "x", replacement: "y"}, {name: b, pattern: "y"}"#,
                "guard.redact[0].replacement"
            ),
        ])
    func badRules(rules: String, field: String) throws {
        do {
            _ = try Self.redaction(rules)
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".contains(field))
        }
    }
}

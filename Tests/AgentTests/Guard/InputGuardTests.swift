import Memory
import PoolAPI
import Testing

@testable import Agent

@Suite struct InputGuardTests {
    private static func inputGuard(_ rules: String) throws -> InputGuard {
        try InputGuard(
            try AgentPoolSpec.parse(yaml: "agents: [{name: a, instructions: i}]\nguard: \(rules)").guard)
    }

    private static func user(_ text: String) -> [Message] { [Message(role: .user, content: text)] }

    @Test("The length is counted in scalars over all new messages, and the limit itself is allowed")
    func length() throws {
        let inputGuard = try Self.inputGuard("{maxInputCharacters: 8}")
        #expect(inputGuard.judge(Self.user("12345678")) == .admitted)
        #expect(isRefused(inputGuard.judge(Self.user("123456789")), by: "guard.maxInputCharacters"))
        #expect(
            isRefused(
                inputGuard.judge(Self.user("12345") + Self.user("6789")), by: "guard.maxInputCharacters"))
        // Eight ideographs are 24 bytes.
        #expect(inputGuard.judge(Self.user("我的储物柜密码是")) == .admitted)
    }

    @Test("A message that contains a forbidden pattern is refused and told which rule it broke")
    func patterns() throws {
        let inputGuard = try Self.inputGuard(#"{forbiddenPatterns: ["(?i)project\\s+x", "\\b\\d{16}\\b"]}"#)
        #expect(
            isRefused(
                inputGuard.judge(Self.user("tell me of Project   X now")), by: "guard.forbiddenPatterns[0]"))
        #expect(
            isRefused(inputGuard.judge(Self.user("card 4111111111111111")), by: "guard.forbiddenPatterns[1]"))
        #expect(inputGuard.judge(Self.user("project y, 4711")) == .admitted)
    }

    @Test("A pattern that is none is an error that names the field")
    func invalidPattern() throws {
        var rules = try AgentPoolSpec.parse(yaml: "agents: [{name: a, instructions: i}]").guard
        rules.forbiddenPatterns = ["fine", "(unclosed"]
        let error = #expect(throws: InputGuard.InvalidRule.self) { try InputGuard(rules) }
        #expect(error?.field == "spec.guard.forbiddenPatterns[1]")
    }

    @Test(
        "Greetings, thanks and assent want no memory",
        arguments: [
            "hi", "Hello!", "hey there", "Good morning", "thanks", "Thank you so much!", "ok", "OK.", "yes",
            "Yes, thank you", "bye",
            "great, thanks", "👍", "...", "", "你好", "你好！", "谢谢", "谢谢你", "好的，谢谢", "明白了", "嗯嗯", "再见", "ok 谢谢",
        ])
    func smallTalk(text: String) {
        #expect(!MemoryWish.isWorthRecalling(text))
    }

    @Test(
        "Anything with content words, and anything that may ask back, wants memory",
        arguments: [
            "what is my locker code?", "my locker code is 4711", "hi, what's my name?",
            "thanks, and my code?", "who am I?", "is it?",
            "that is it?", "where was I", "4711", "yes, the blue one", "我的储物柜密码是什么？", "你好，我叫小明", "我是谁",
            "还记得我吗", "привет",
            "ok 你知道我的生日吗",
        ])
    func content(text: String) {
        #expect(MemoryWish.isWorthRecalling(text))
    }

    @Test("Only what the user says decides about memory")
    func toolMessages() throws {
        let inputGuard = try Self.inputGuard("{}")
        let tool = Message(role: .tool, content: "order 4711 is shipped", toolCallID: "c")
        #expect(inputGuard.judge([tool]) == .admitted && !InputGuard.wantsMemory([tool]))
        #expect(InputGuard.wantsMemory([tool] + Self.user("and my other order?")))
    }

    @Test("What counts for the length is what the user says now, and the client's own instructions")
    func counted() throws {
        let inputGuard = try Self.inputGuard("{maxInputCharacters: 20}")
        let long = String(repeating: "x", count: 30)
        let history = Self.user(long) + [Message(role: .assistant, content: long)]
        let answer = Message(role: .tool, content: long, toolCallID: "c")
        #expect(
            !isRefused(
                inputGuard.judge(history + [answer] + Self.user("well?")), by: "guard.maxInputCharacters"))
        #expect(isRefused(inputGuard.judge(history + Self.user(long)), by: "guard.maxInputCharacters"))
        let brief = [Message(role: .system, content: long)]
        #expect(
            isRefused(inputGuard.judge(brief + history + Self.user("hi")), by: "guard.maxInputCharacters"))
    }

    private func isRefused(_ verdict: InputGuard.Verdict, by rule: String) -> Bool {
        if case .refused(let refusal) = verdict {
            refusal.rule == rule && !refusal.message.isEmpty
        } else {
            false
        }
    }
}

/// What the built-in model says of its own, in the language of the question.
struct BuiltinPhrases: Sendable {
    var introduction: String
    var nothingFound: String
    var noted: String
    var idle: String
    var listing: String
    /// Opening of a quotation from the conversation or a memory; what it quotes, then where from, follow.
    var told: String
    var remembered: String
    var quotes: (open: String, close: String)
    var turn: @Sendable (Int) -> String
    var session: @Sendable (_ session: String, _ date: String) -> String
    var earlier: String

    static let english = BuiltinPhrases(
        introduction:
            "I'm AgentPool's built-in offline model: no language model, I answer from memory by matching words.",
        nothingFound: "I find nothing about that in this conversation or in memory.",
        noted: "Noted:",
        idle: "Tell me something to remember, or ask about what you told me.",
        listing: "This is what I have:",
        told: "You told me:",
        remembered: "From memory:",
        quotes: ("\"", "\""),
        turn: { "(turn \($0) of this conversation)" },
        session: { "(session \($0), \($1))" },
        earlier: "(earlier in this conversation)")

    static let chinese = BuiltinPhrases(
        introduction: "我是 AgentPool 内置的离线模型：不是语言模型，只按词语匹配，从记忆中作答。",
        nothingFound: "在这次对话和记忆中都没有找到相关内容。",
        noted: "记下了：",
        idle: "请告诉我要记住的内容，或者询问您说过的事。",
        listing: "我知道的有：",
        told: "您说过：",
        remembered: "记忆中有：",
        quotes: ("“", "”"),
        turn: { "（本次对话第 \($0) 轮）" },
        session: { "（会话 \($0)，\($1)）" },
        earlier: "（本次对话较早的内容）")

    /// Openings by which the built-in model's own replies are known again.
    static let openings: [String] = [english, chinese].flatMap {
        [$0.introduction, $0.nothingFound, $0.noted, $0.idle, $0.listing, $0.told, $0.remembered]
    }

    /// Whether the question is about the model itself.
    static func asksForIdentity(_ text: String) -> Bool {
        let text = text.lowercased()
        return [
            "who are you", "what are you", "are you a", "are you an", "your name", "你是谁", "您是谁", "你是什么",
            "你叫什么", "介绍一下你",
        ]
        .contains { text.contains($0) }
    }
}

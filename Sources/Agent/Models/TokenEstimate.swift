import Memory

/// Guesses token counts where no server reported any: four bytes of ASCII a token, three of other scripts.
enum TokenEstimate {
    static func usage(prompt: Prompt, reply: String) -> TokenUsage {
        var tokens = tokens(in: prompt.instructions) + tokens(in: prompt.rollingSummary)
        for message in prompt.context.lazy.flatMap(\.turn.messages) {
            tokens += Self.tokens(in: message.content)
        }
        for memory in prompt.recalled {
            tokens += Self.tokens(in: memory.text) + Self.tokens(in: memory.excerpt)
        }
        for message in prompt.newMessages { tokens += Self.tokens(in: message.content) }
        return TokenUsage(promptTokens: tokens, completionTokens: Self.tokens(in: reply))
    }

    static func tokens(in text: String) -> Int {
        let bytes = text.utf8.count
        let ascii = text.utf8.reduce(0) { $0 + ($1 < 0x80 ? 1 : 0) }
        return (ascii + 3) / 4 + (bytes - ascii + 2) / 3
    }
}

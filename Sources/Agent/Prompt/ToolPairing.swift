import Memory

/// Makes a list of messages acceptable to servers that insist on tool calls and their answers being complete
/// pairs.
///
/// A turn that was cut off, or whose first part left the context, may hold one without the other.
enum ToolPairing {
    static func repaired(_ messages: [Message]) -> [Message] {
        guard messages.contains(where: { $0.toolCalls != nil || $0.role == .tool || isEmpty($0) }) else {
            return messages
        }
        var repaired: [Message] = []
        var rest = messages[...]
        while var message = rest.popFirst() {
            // Its call, had it one, would stand before it. By ids alone no pair is told: servers count them anew in each turn.
            if message.role == .tool { continue }
            let answers = message.toolCalls == nil ? [] : rest.prefix { $0.role == .tool }
            rest = rest.dropFirst(answers.count)
            let answered = Set(answers.compactMap(\.toolCallID))
            let complete = message.toolCalls?.filter { answered.contains($0.id) }
            message.toolCalls = complete?.isEmpty == true ? nil : complete
            if !isEmpty(message) { repaired.append(message) }
            let asked = Set((complete ?? []).map(\.id))
            repaired += answers.filter { $0.toolCallID.map(asked.contains) == true }
        }
        return repaired
    }

    /// An assistant message that says nothing: a turn that ended before its first word.
    private static func isEmpty(_ message: Message) -> Bool {
        message.role == .assistant && message.content.isEmpty && (message.toolCalls ?? []).isEmpty
    }
}

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
        let asked = Set(messages.lazy.flatMap { $0.toolCalls ?? [] }.map(\.id))
        let answered = Set(messages.lazy.filter { $0.role == .tool }.compactMap(\.toolCallID))
        return messages.compactMap { message in
            if message.role == .tool {
                return message.toolCallID.map(asked.contains) == true ? message : nil
            }
            var message = message
            let complete = message.toolCalls?.filter { answered.contains($0.id) }
            message.toolCalls = complete?.isEmpty == true ? nil : complete
            return isEmpty(message) ? nil : message
        }
    }

    /// An assistant message that says nothing: a turn that ended before its first word.
    private static func isEmpty(_ message: Message) -> Bool {
        message.role == .assistant && message.content.isEmpty && (message.toolCalls ?? []).isEmpty
    }
}

import Memory

/// Reads one `chat.completion.chunk` of OpenAI's stream into deltas: only the fields that a reply is made of.
enum ChatChunk {
    /// What a chunk can say besides deltas.
    struct ServerError: Error {
        var text: UpstreamErrorText
    }

    /// Appends the chunk's deltas in the order in which a client wants them: text, tool calls, finish, usage.
    ///
    /// Throws `JSONError` for what is not such a chunk and `ServerError` for an error object in its place.
    static func read(_ data: [UInt8], into deltas: inout [ChatDelta]) throws {
        // Servers that cut text into tokens cut between the halves of a surrogate pair, too.
        var reader = JSONReader(data, repairsSurrogates: true)
        var usage: TokenUsage?
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "choices":
                if try reader.readNull() { continue }
                try reader.beginArray()
                while try reader.nextElement() { try readChoice(&reader, into: &deltas) }
            case "usage":
                if try reader.readNull() { continue }
                usage = try readUsage(&reader)
            case "error":
                if try reader.readNull() { continue }
                throw ServerError(text: try UpstreamErrorText(errorValue: &reader))
            default:
                try reader.skipValue()
            }
        }
        try reader.finish()
        if let usage { deltas.append(.usage(usage)) }
    }

    /// The token counts of a `usage` object; missing ones are zero.
    static func readUsage(_ reader: inout JSONReader) throws(JSONError) -> TokenUsage {
        var usage = TokenUsage()
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "prompt_tokens": usage.promptTokens = try reader.readNull() ? 0 : reader.readInt()
            case "completion_tokens": usage.completionTokens = try reader.readNull() ? 0 : reader.readInt()
            default: try reader.skipValue()
            }
        }
        return usage
    }

    private static func readChoice(_ reader: inout JSONReader, into deltas: inout [ChatDelta])
        throws(JSONError)
    {
        let count = deltas.count
        var isFirstChoice = true
        var finish: FinishReason?
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "index": isFirstChoice = try reader.readInt() == 0
            case "delta":
                if try reader.readNull() { continue }
                try readDelta(&reader, into: &deltas)
            case "finish_reason":
                if try reader.readNull() { continue }
                finish = FinishReason(serverName: try reader.readString())
            default: try reader.skipValue()
            }
        }
        if let finish { deltas.append(.finish(finish)) }
        // One reply was asked for; a server that sends more has its others left out.
        if !isFirstChoice { deltas.removeSubrange(count...) }
    }

    private static func readDelta(_ reader: inout JSONReader, into deltas: inout [ChatDelta])
        throws(JSONError)
    {
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "content", "refusal":
                if try reader.readNull() { continue }
                let text = try reader.readString()
                if !text.isEmpty { deltas.append(.text(text)) }
            case "tool_calls":
                if try reader.readNull() { continue }
                try reader.beginArray()
                while try reader.nextElement() { deltas.append(.toolCall(try readToolCall(&reader))) }
            default: try reader.skipValue()
            }
        }
    }

    private static func readToolCall(_ reader: inout JSONReader) throws(JSONError) -> ToolCallDelta {
        var call = ToolCallDelta(index: 0)
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "index": call.index = try reader.readNull() ? 0 : reader.readInt()
            case "id": call.id = try reader.readNull() ? nil : reader.readString()
            case "function":
                if try reader.readNull() { continue }
                try reader.beginObject()
                while let key = try reader.nextKey() {
                    switch key {
                    case "name": call.name = try reader.readNull() ? nil : reader.readString()
                    case "arguments": call.arguments = try reader.readNull() ? "" : reader.readString()
                    default: try reader.skipValue()
                    }
                }
            default: try reader.skipValue()
            }
        }
        return call
    }
}

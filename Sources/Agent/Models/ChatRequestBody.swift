import Memory
import PoolAPI

/// Writes the body of a chat-completions request, straight into bytes.
enum ChatRequestBody {
    /// Members that the engine decides; the manifest's `parameters` can't set them.
    private static let reserved: Set<String> = [
        "model", "messages", "stream", "stream_options", "n", "tools", "tool_choice",
    ]

    /// - Parameters:
    ///   - capacity: bytes of the messages, roughly.
    ///   - writeMessages: writes them as one JSON array.
    static func bytes(
        model: String, capacity: Int, parameters: [String: JSONValue], sampling: SamplingOverrides,
        functions: [ChatFunction] = [], choice: FunctionChoice = .auto, callsInParallel: Bool? = nil,
        writeMessages: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var writer = JSONWriter(capacity: capacity + capacity / 8 + 512)
        writer.beginObject()
        writer.field("model", model)
        writer.key("messages")
        writeMessages(&writer)
        writer.field("stream", true)
        writer.key("stream_options")
        writer.literal(#"{"include_usage":true}"#)
        write(functions, choice, to: &writer)
        // Newer servers refuse `max_tokens`; a manifest that uses the newer name says which one this is.
        let limitName = parameters["max_completion_tokens"] == nil ? "max_tokens" : "max_completion_tokens"
        var overrides = overrides(sampling, limitName: limitName)
        if let callsInParallel, !functions.isEmpty {
            overrides.append(("parallel_tool_calls", .bool(callsInParallel)))
        }
        for (name, value) in parameters.sorted(by: { $0.key < $1.key })
        where !reserved.contains(name) && !overrides.contains(where: { $0.name == name }) {
            writer.key(escaping: name)
            writer.value(value)
        }
        for (name, value) in overrides {
            writer.key(escaping: name)
            writer.value(value)
        }
        writer.endObject()
        return writer.bytes
    }

    private static func write(
        _ functions: [ChatFunction], _ choice: FunctionChoice, to writer: inout JSONWriter
    ) {
        guard !functions.isEmpty else { return }
        writer.key("tools")
        writer.beginArray()
        for function in functions {
            writer.beginObject()
            writer.field("type", "function")
            writer.key("function")
            writer.beginObject()
            writer.field("name", function.name)
            writer.field("description", function.description)
            writer.key("parameters")
            writer.raw(Array(function.parameters.utf8))
            if let isStrict = function.isStrict { writer.field("strict", isStrict) }
            writer.endObject()
            writer.endObject()
        }
        writer.endArray()
        switch choice {
        case .auto: break
        case .none: writer.field("tool_choice", "none")
        case .required: writer.field("tool_choice", "required")
        case .function(let name):
            writer.key("tool_choice")
            writer.beginObject()
            writer.field("type", "function")
            writer.key("function")
            writer.beginObject()
            writer.field("name", name)
            writer.endObject()
            writer.endObject()
        }
    }

    private static func overrides(
        _ sampling: SamplingOverrides, limitName: String
    ) -> [(name: String, value: JSONValue)] {
        var members: [(name: String, value: JSONValue)] = []
        if let temperature = sampling.temperature { members.append(("temperature", .number(temperature))) }
        if let topP = sampling.topP { members.append(("top_p", .number(topP))) }
        if let maxTokens = sampling.maxTokens { members.append((limitName, .integer(maxTokens))) }
        if !sampling.stop.isEmpty { members.append(("stop", .array(sampling.stop.map { .string($0) }))) }
        return members
    }
}

extension Message {
    /// Writes the message as OpenAI's chat API has it.
    /// - Parameter preface: writes text that stands before the content, as its part.
    func write(to writer: inout JSONWriter, preface: (inout JSONWriter) -> Void = { _ in }) {
        writer.beginObject()
        writer.field("role", role.rawValue)
        writer.key("content")
        writer.beginString()
        preface(&writer)
        writer.text(content)
        writer.endString()
        // A tool's name is ours to know: the API has no such field on its answers.
        if let name, role != .tool { writer.field("name", name) }
        if let toolCallID { writer.field("tool_call_id", toolCallID) }
        if let toolCalls, !toolCalls.isEmpty {
            writer.key("tool_calls")
            writer.beginArray()
            for call in toolCalls {
                writer.beginObject()
                writer.field("id", call.id)
                writer.field("type", "function")
                writer.key("function")
                writer.beginObject()
                writer.field("name", call.name)
                writer.field("arguments", call.arguments)
                writer.endObject()
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
    }
}

extension JSONWriter {
    /// A value of the manifest; an object's members in the order of their names, so that equal values are
    /// equal bytes.
    public mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let bool): self.bool(bool)
        case .integer(let integer): int(integer)
        case .number(let number): double(number)
        case .string(let string): self.string(string)
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                key(escaping: name)
                self.value(member)
            }
            endObject()
        }
    }
}

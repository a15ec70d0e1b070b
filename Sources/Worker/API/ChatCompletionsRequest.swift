/// The body of `POST /v1/chat/completions`, read strictly: what this worker can't honour is refused by name, not ignored.
import Agent
import Memory

struct ChatCompletionsRequest: Sendable {
    /// More than any client's context holds; bounds what one request makes us keep.
    static let maxMessages = 2048

    var model: String?
    /// Without the system's and the developer's.
    var messages: [Message] = []
    /// Text of system and developer messages: instructions for this turn, kept apart from the history.
    var instructions: String?
    var stream = false
    var includeUsage = false
    var user: String?
    var sessionID: String?
    var overrides = SamplingOverrides()
    /// The client's own, offered beside the pool's tools.
    var functions = ClientFunctions()

    /// - Throws: `APIError` that names the field.
    static func parse(_ body: [UInt8]) throws(APIError) -> ChatCompletionsRequest {
        guard !body.isEmpty else {
            throw APIError(.badRequest, code: "invalid_json", "The body is empty; send a JSON object.")
        }
        var request = ChatCompletionsRequest()
        var reader = FieldReader(body)
        var functions = ClientFunctionsReader(.nested)
        try reader.beginObject()
        while let field = try reader.nextField() { try request.read(field, &functions, from: &reader) }
        try reader.end()
        request.functions = try functions.made()
        guard let last = request.messages.last else {
            throw .invalid("messages", "`messages` must hold at least one message of role `user`.")
        }
        guard last.role != .assistant else {
            throw .invalid("messages", "The last of `messages` must not be the assistant's own.")
        }
        return request
    }

    private mutating func read(
        _ field: String, _ functions: inout ClientFunctionsReader, from reader: inout FieldReader
    ) throws(APIError) {
        switch field {
        case "model": model = try reader.string()
        case "messages": try readMessages(&reader)
        case "stream": stream = try reader.bool() ?? false
        case "stream_options":
            includeUsage =
                try reader.member("include_usage") { r throws(APIError) in try r.bool() } ?? false
        case "user": user = try reader.string()
        case "metadata":
            sessionID = try reader.member("session_id") { r throws(APIError) in try r.string() }
        case "temperature": overrides.temperature = try reader.number(in: 0...2)
        case "top_p": overrides.topP = try reader.number(in: 0...1)
        case "max_tokens", "max_completion_tokens":
            overrides.maxTokens = try reader.integer(in: 1...1_000_000)
        case "stop": overrides.stop = try reader.strings(atMost: 4) ?? []
        case "n":
            if let count = try reader.integer(in: 1...128), count != 1 {
                throw .unsupported("n", "Only one choice is made: leave `n` out.")
            }
        case "tools": try functions.readTools(&reader)
        case "tool_choice": try functions.readChoice(&reader)
        case "parallel_tool_calls": try functions.readParallel(&reader)
        case "functions":
            if try reader.null() { return }
            try reader.beginArray()
            if try reader.nextElement(atMost: 1) {
                throw .unsupported(field, "`functions` is of an older API: send `tools` in its place.")
            }
        case "logprobs":
            if try reader.bool() == true { throw .unsupported(field, "`logprobs` is not supported.") }
        case "response_format":
            let type = try reader.member("type") { r throws(APIError) in try r.string() }
            if let type, type != "text" {
                throw .unsupported(field, "Only the format `text` is supported.")
            }
        default: try reader.skip()
        }
    }

    private mutating func readMessages(_ reader: inout FieldReader) throws(APIError) {
        var system: [String] = []
        messages = []
        try reader.beginArray()
        while try reader.nextElement(atMost: Self.maxMessages) {
            let message = try Message(from: &reader)
            if message.role == .system { system.append(message.content) } else { messages.append(message) }
        }
        instructions = system.isEmpty ? nil : system.joined(separator: "\n\n")
    }
}

extension Message {
    /// One element of `messages`; also what the `input` of the other APIs is made of. A developer's message counts as the system's.
    ///
    /// - Parameters:
    ///   - types: what the parts of its content may be called.
    ///   - roles: whose it may be.
    init(
        from reader: inout FieldReader, types: [String] = ["text"],
        roles: [Role] = [.system, .user, .assistant, .tool]
    ) throws(APIError) {
        let path = reader.path
        var (role, hasContent): (Role?, Bool) = (nil, false)
        self.init(role: .user, content: "")
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "role":
                let name = try reader.string() ?? ""
                role = name == "developer" ? .system : Role(rawValue: name)
                guard let role, roles.contains(role) else {
                    let names = roles.flatMap { $0 == .system ? ["system", "developer"] : [$0.rawValue] }
                    throw .invalid(
                        reader.path,
                        "`\(reader.path)` must be one of \(names.joined(separator: ", ")).")
                }
            case "content":
                let text = try reader.text(types: types)
                (content, hasContent) = (text ?? "", text != nil)
            case "name": name = try reader.string()
            case "tool_call_id": toolCallID = try reader.string()
            case "tool_calls":
                if try reader.null() { continue }
                var calls: [ToolCall] = []
                try reader.beginArray()
                while try reader.nextElement(atMost: ClientFunctionsReader.maximum) {
                    calls.append(try ToolCall(from: &reader))
                }
                toolCalls = calls.isEmpty ? nil : calls
            default: try reader.skip()
            }
        }
        guard let role else { throw .invalid(path + ".role", "`\(path).role` is missing.") }
        guard role != .tool || toolCallID != nil else {
            throw .invalid(
                path + ".tool_call_id", "`\(path).tool_call_id` must name the call that the message answers.")
        }
        guard role != .tool || hasContent else {
            throw .invalid(path + ".content", "`\(path).content` must say what came of the call.")
        }
        if role != .assistant { toolCalls = nil }
        self.role = role
    }
}

/// The body of `POST /v1/responses`, read strictly: what this worker can't honour is refused by name, not ignored.
import Agent
import Memory

struct ResponsesRequest: Sendable {
    /// OpenAI's own bounds of `metadata`.
    static let maxPairs = 16
    static let maxKey = 64
    static let maxValue = 512

    var model: String?
    /// Without the system's and the developer's.
    var messages: [Message] = []
    /// For this turn only; the response repeats it.
    var instructions: String?
    /// Of the input's system and developer messages: for this turn only, too.
    var system: [String] = []
    var stream = false
    var user: String?
    /// In the client's order; the response repeats it, and it is not stored.
    var metadata: [(name: String, value: String)] = []
    var previous: ResponseID?
    var conversation: SessionID?
    /// What a person decided about calls of a turn that waits for it, and nothing else is new then.
    var decisions: ResponseDecisions?
    var overrides = SamplingOverrides()
    /// The client's own, offered beside the pool's tools.
    var functions = ClientFunctions()
    /// The messages that stand before the last call that a person is asked for, where the client repeats it.
    private var askedAfter = 0

    /// All that the client instructs the agent in this turn.
    var allInstructions: String? {
        let parts = (instructions.map { [$0] } ?? []) + system
        return parts.isEmpty ? nil : parts.joined(separator: "\n\n")
    }

    var sessionID: String? { metadata.last { $0.name == "session_id" }?.value }

    /// - Throws: `APIError` that names the field.
    static func parse(_ body: [UInt8]) throws(APIError) -> ResponsesRequest {
        guard !body.isEmpty else {
            throw APIError(.badRequest, code: "invalid_json", "The body is empty; send a JSON object.")
        }
        var request = ResponsesRequest()
        var reader = FieldReader(body)
        var functions = ClientFunctionsReader(.flat)
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "tools": try functions.readTools(&reader)
            case "tool_choice": try functions.readChoice(&reader)
            case "parallel_tool_calls": try functions.readParallel(&reader)
            default: try request.read(field, from: &reader)
            }
        }
        try reader.end()
        request.functions = try functions.made()
        guard request.previous == nil || request.conversation == nil else {
            throw .invalid(
                "previous_response_id",
                "`previous_response_id` and `conversation` exclude each other: leave one of them out.")
        }
        if request.decisions != nil {
            try request.checkDecisions()
            return request
        }
        guard let last = request.messages.last else {
            throw .invalid(
                "input", "`input` must be a text, or a list of messages with at least one of role `user`.")
        }
        guard last.role != .assistant else {
            throw .invalid("input", "The last message of `input` must not be the assistant's own.")
        }
        return request
    }

    private mutating func read(_ field: String, from reader: inout FieldReader) throws(APIError) {
        switch field {
        case "model": model = try reader.string()
        case "input": try readInput(&reader)
        case "instructions": instructions = try reader.string()
        case "stream": stream = try reader.bool() ?? false
        case "user": user = try reader.string()
        case "metadata": metadata = try reader.metadata()
        case "previous_response_id":
            guard let text = try reader.string() else { return }
            guard let id = ResponseID(text) else { throw .previousResponseUnknown }
            previous = id
        case "conversation":
            if try reader.null() { return }
            let id =
                try reader.kind() == .string
                ? reader.string() : reader.member("id") { r throws(APIError) in try r.string() }
            guard let id else {
                throw .invalid(field, "`conversation` must be an id, or an object with an `id`.")
            }
            conversation = try SessionID(id, param: field)
        case "temperature": overrides.temperature = try reader.number(in: 0...2)
        case "top_p": overrides.topP = try reader.number(in: 0...1)
        case "max_output_tokens": overrides.maxTokens = try reader.integer(in: 1...1_000_000)
        default: try refuse(field, from: &reader)
        }
    }

    /// Fields of which only some values can be honoured.
    private func refuse(_ field: String, from reader: inout FieldReader) throws(APIError) {
        switch field {
        case "store":
            if try reader.bool() == false {
                throw .unsupported(
                    field,
                    "The pool stores every turn: leave `store` out, and forget the session afterwards "
                        + "(`DELETE /v1/sessions/{id}`) where nothing is to stay.")
            }
        case "background":
            if try reader.bool() == true {
                throw .unsupported(
                    field,
                    "A response runs while its client waits: leave `background` out. A turn that runs on without is "
                        + "`POST /v1/sessions/{id}/turns`.")
            }
        case "max_tool_calls":
            if try !reader.null() {
                throw .unsupported(
                    field, "Calls of tools can't be limited by a request: leave `\(field)` out.")
            }
        case "prompt":
            if try !reader.null() {
                throw .unsupported(
                    field, "There are no stored prompts: send the text as `instructions` or `input`.")
            }
        case "text":
            let type = try reader.member("format") { r throws(APIError) in
                try r.member("type") { r throws(APIError) in try r.string() }
            }
            if let type, type != "text" {
                throw .unsupported("text.format", "Only the format `text` is supported.")
            }
        case "include":
            if try reader.strings(atMost: 64)?.contains("message.output_text.logprobs") == true {
                throw .unsupported(field, "`logprobs` is not supported.")
            }
        default: try reader.skip()
        }
    }

    /// Who decides says nothing else: what stands beside a decision would be lost, or would refuse the call.
    private func checkDecisions() throws(APIError) {
        let names = previous != nil || conversation != nil
        guard messages.count == (names ? 0 : askedAfter) else {
            throw .invalid(
                "input",
                "An `mcp_approval_response` stands without messages: send what the user says once the turn has gone on. "
                    + "(A message alone, without a decision, refuses the call.)")
        }
    }

    private mutating func readInput(_ reader: inout FieldReader) throws(APIError) {
        (messages, system, decisions) = ([], [], nil)
        if try reader.kind() == .string {
            let text = try reader.string() ?? ""
            if !text.isEmpty { messages = [Message(role: .user, content: text)] }
            return
        }
        var followsCall = false
        askedAfter = 0
        try reader.beginArray()
        while try reader.nextElement(atMost: ChatCompletionsRequest.maxMessages) {
            let path = reader.path
            // A copy of the reader is a bookmark: what an item is may be said behind what it holds.
            var ahead = reader
            let type =
                try reader.kind() == .object
                ? ahead.member("type") { r throws(APIError) in try r.string() } : nil
            switch type {
            case nil, "message":
                let types = ["input_text", "output_text"]
                let roles: [Message.Role] = [.user, .assistant, .system]
                take(try Message(from: &reader, types: types, roles: roles), followsCall)
                followsCall = false
            case "function_call":
                try takeCall(ToolCall(item: &reader))
                followsCall = false
            case "function_call_output":
                messages.append(try Message(answer: &reader))
                followsCall = false
            case "mcp_call", "mcp_approval_request":
                // Out of an earlier response's output: the pool has its own record of it.
                try reader.skip()
                followsCall = true
                if type == "mcp_approval_request" { askedAfter = messages.count }
            case "mcp_approval_response":
                var read = decisions ?? ResponseDecisions()
                try read.add(&reader, at: path)
                decisions = read
            case let other?:
                throw .unsupported(
                    path,
                    "Only messages, decisions, and calls of functions with their outputs are taken as input; `\(path)` is of type "
                        + "`\(other)`.")
            }
        }
    }

    /// A call is part of the reply that stands before it, as the history has them.
    private mutating func takeCall(_ call: ToolCall) {
        if messages.last?.role != .assistant { messages.append(Message(role: .assistant, content: "")) }
        messages[messages.count - 1].toolCalls = (messages.last?.toolCalls ?? []) + [call]
    }

    private mutating func take(_ message: Message, _ followsCall: Bool) {
        switch message.role {
        case .system: system.append(message.content)
        case .assistant where followsCall && messages.last?.role == .assistant:
            // What an agent said before and after its calls is one reply.
            messages[messages.count - 1].content += message.content
        case .user, .assistant, .tool: messages.append(message)
        }
    }
}

extension FieldReader {
    /// An object of texts, within OpenAI's bounds; empty for null.
    mutating func metadata() throws(APIError) -> [(name: String, value: String)] {
        if try null() { return [] }
        var pairs: [(name: String, value: String)] = []
        try beginObject()
        while let name = try nextField() {
            let path = path
            guard let value = try string() else {
                throw .invalid(path, "`\(path)` must be a string.")
            }
            pairs.append((name, value))
            guard pairs.count <= ResponsesRequest.maxPairs,
                name.unicodeScalars.count <= ResponsesRequest.maxKey,
                value.unicodeScalars.count <= ResponsesRequest.maxValue
            else {
                throw .invalid(
                    path,
                    "`metadata` may hold \(ResponsesRequest.maxPairs) pairs, with names of \(ResponsesRequest.maxKey) and "
                        + "values of \(ResponsesRequest.maxValue) characters.")
            }
        }
        return pairs
    }
}

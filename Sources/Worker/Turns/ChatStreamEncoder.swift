/// Writes a turn's events as OpenAI's `chat.completion.chunk` stream: the bytes that leave for each token, made without a tree or a copy of the fixed part.
import Agent
import Memory
import NIOCore

struct ChatStreamEncoder {
    /// What a proxy needs to see while the model thinks. A comment: no SDK takes it for an event.
    static let heartbeat = ": keep-alive\n\n"

    private let framing: BodyFraming
    private let includeUsage: Bool
    /// `data: {"id":...,"model":"..."`: the same for every chunk of a reply.
    private let envelope: [UInt8]
    private var json = JSONWriter(capacity: 512)
    private var sawText = false

    init(turn: TurnID, created: Int64, model: String, includeUsage: Bool, framing: BodyFraming) {
        self.framing = framing
        self.includeUsage = includeUsage
        var json = JSONWriter()
        json.frame("data: ")
        json.beginObject()
        json.field("id", "chatcmpl-" + turn.value)
        json.field("object", "chat.completion.chunk")
        json.field("created", created)
        json.field("model", model)
        envelope = json.bytes
    }

    /// Text that arrived together leaves as one buffer, a chunk for each piece.
    mutating func text(_ pieces: [String]) -> ByteBuffer {
        json.reset()
        for piece in pieces { appendDelta(piece) }
        return framed()
    }

    /// The reply's end, sent once the turn is durable.
    ///
    /// - Parameter calls: for the client to carry out; a chunk each, whole.
    mutating func end(_ reason: FinishReason, calls: [ToolCall] = [], usage: TokenUsage) -> ByteBuffer {
        json.reset()
        if !sawText { appendDelta("") }
        for (index, call) in calls.enumerated() { append(call, index) }
        append(delta: nil, finish: reason.rawValue)
        if includeUsage {
            json.raw(envelope)
            json.frame(",\"choices\":[],\"usage\":")
            usage.write(into: &json)
            json.frame("}\n\n")
        }
        json.frame("data: [DONE]\n\n")
        return framed()
    }

    /// An error after the head has gone: the SDKs raise it from the stream. No `[DONE]` follows.
    mutating func error(_ error: APIError) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: 512)
        buffer.writeFramed(framing) { buffer in
            var event = Self.errorEvent(error)
            buffer.writeBuffer(&event)
        }
        return buffer
    }

    static func errorEvent(_ error: APIError) -> ByteBuffer {
        var bytes = ByteBuffer(staticString: "data: ")
        bytes.writeBytes(error.json)
        bytes.writeStaticString("\n\n")
        return bytes
    }

    private mutating func append(_ call: ToolCall, _ index: Int) {
        json.raw(envelope)
        json.frame(",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[")
        call.write(into: &json, index: index)
        json.frame("]},\"finish_reason\":null}]}\n\n")
    }

    private mutating func appendDelta(_ text: String) {
        append(delta: text, finish: nil)
        sawText = true
    }

    private mutating func append(delta: String?, finish: String?) {
        json.raw(envelope)
        json.frame(",\"choices\":[{\"index\":0,\"delta\":{")
        if let delta {
            if !sawText { json.field("role", "assistant") }
            json.field("content", delta)
        }
        json.frame("},\"finish_reason\":")
        if let finish { json.string(finish) } else { json.literal("null") }
        json.frame("}]}\n\n")
    }

    private func framed() -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: json.bytes.count + 16)
        buffer.writeFramed(framing) { $0.writeBytes(json.bytes) }
        return buffer
    }
}

/// The whole reply of a request that doesn't stream.
enum ChatCompletion {
    static func encode(
        turn: TurnID, created: Int64, model: String, text: String, calls: [ToolCall] = [],
        finish: FinishReason, usage: TokenUsage
    ) -> [UInt8] {
        var json = JSONWriter(capacity: 512 + text.utf8.count)
        json.beginObject()
        json.field("id", "chatcmpl-" + turn.value)
        json.field("object", "chat.completion")
        json.field("created", created)
        json.field("model", model)
        json.key("choices")
        json.beginArray()
        json.beginObject()
        json.field("index", 0)
        json.key("message")
        json.beginObject()
        json.field("role", "assistant")
        if text.isEmpty, !calls.isEmpty {
            json.key("content")
            json.null()
        } else {
            json.field("content", text)
        }
        if !calls.isEmpty {
            json.key("tool_calls")
            json.beginArray()
            for call in calls { call.write(into: &json) }
            json.endArray()
        }
        json.endObject()
        json.field("finish_reason", finish.rawValue)
        json.endObject()
        json.endArray()
        json.key("usage")
        usage.write(into: &json)
        json.endObject()
        return json.bytes
    }
}

extension TokenUsage {
    func write(into json: inout JSONWriter) {
        json.beginObject()
        json.field("prompt_tokens", promptTokens)
        json.field("completion_tokens", completionTokens)
        json.field("total_tokens", totalTokens)
        json.endObject()
    }
}

extension ToolCall {
    /// As OpenAI's chat API has it.
    ///
    /// - Parameter index: of a chunk's.
    func write(into json: inout JSONWriter, index: Int? = nil) {
        json.beginObject()
        if let index { json.field("index", index) }
        json.field("id", id)
        json.field("type", "function")
        json.key("function")
        json.beginObject()
        json.field("name", name)
        json.field("arguments", arguments)
        json.endObject()
        json.endObject()
    }
}

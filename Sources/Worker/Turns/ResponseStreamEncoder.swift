/// Writes a turn's events as OpenAI's stream of a response: named, numbered events, each item begun, filled and ended in the documented order.
import Agent
import Memory
import NIOCore

struct ResponseStreamEncoder: Sendable {
    private let framing: BodyFraming
    private var response: ResponseObject
    private var json = JSONWriter(capacity: 1024)
    /// Of the next event; counted from 0.
    private var sequence = 0
    /// Of the first event that is written.
    private var first = 0
    private var hasBegun = false
    /// `event: ...`, `data: {"type":...,"item_id":...`: the same for every piece of a message.
    private var deltaEnvelope: [UInt8] = []

    init(_ response: ResponseObject, framing: BodyFraming) {
        self.response = response
        self.framing = framing
    }

    /// A stored response as a stream: numbered as one whose every message was said in one piece.
    ///
    /// - Parameter last: events up to this number are left out.
    /// - Returns: nil where the response runs; empty where it has no events after `last`.
    static func retold(
        _ stored: StoredTurn, _ id: ResponseID, serverLabel: String, after last: Int?, framing: BodyFraming
    ) -> ByteBuffer? {
        var encoder = ResponseStreamEncoder(
            ResponseObject(beginOf: stored.turn, part: id.part, of: id.session, serverLabel: serverLabel),
            framing: framing)
        encoder.first = last.map { $0 + 1 } ?? 0
        encoder.begin()
        for event in stored.told {
            for change in encoder.response.output.take(event) { encoder.write(change) }
        }
        for change in encoder.response.end(stored.turn) { encoder.write(change) }
        switch encoder.response.state {
        case .inProgress: return nil
        case .completed: encoder.writeResponse("response.completed")
        case .incomplete, .cancelled: encoder.writeResponse("response.incomplete")
        case .failed: encoder.writeResponse("response.failed")
        }
        return encoder.json.bytes.isEmpty ? ByteBuffer() : encoder.framed()
    }

    /// What arrived together leaves as one buffer; nil where clients are told nothing of it.
    ///
    /// The first event waits for something to tell: until then an error still gets its own status.
    mutating func events(_ events: ArraySlice<TurnEvent>) -> ByteBuffer? {
        json.reset()
        for event in events {
            let changes = response.output.take(event)
            if !changes.isEmpty { begin() }
            for change in changes { write(change) }
        }
        return json.bytes.isEmpty ? nil : framed()
    }

    /// The reply's end, sent once the turn is durable.
    ///
    /// - Parameter now: seconds since 1970.
    mutating func end(_ report: TurnReport, now: Int64) -> ByteBuffer {
        json.reset()
        begin()
        for change in response.end(report, now: now) { write(change) }
        writeResponse(response.state == .completed ? "response.completed" : "response.incomplete")
        return framed()
    }

    /// The turn has failed after the head has gone.
    mutating func error(_ error: APIError) -> ByteBuffer {
        json.reset()
        begin()
        for change in response.fail(error) { write(change) }
        writeResponse("response.failed")
        return framed()
    }

    /// What ends a stream that is no more followed to its turn's end. Its number is 0, for who cuts it has not counted. SDKs raise it for
    /// its member `error`; OpenAI's own events have that beside the documented members.
    static func cut(_ error: APIError) -> ByteBuffer {
        var json = JSONWriter(capacity: 512)
        json.frame("event: error\ndata: ")
        json.beginObject()
        json.field("type", "error")
        json.field("code", error.code)
        json.field("message", error.message)
        json.key("param")
        if let param = error.param { json.string(param) } else { json.null() }
        json.field("sequence_number", 0)
        json.key("error")
        error.write(into: &json)
        json.endObject()
        json.frame("\n\n")
        return ByteBuffer(bytes: json.bytes)
    }

    // MARK: Events

    private mutating func begin() {
        guard !hasBegun else { return }
        hasBegun = true
        writeResponse("response.created", isBegin: true)
        writeResponse("response.in_progress", isBegin: true)
    }

    private mutating func write(_ change: ResponseOutput.Change) {
        switch change {
        case .began(let index): writeBegin(response.output.items[index], index)
        case .said(_, let piece): writeDelta(piece)
        case .ended(let index): writeEnd(response.output.items[index], index)
        }
    }

    private mutating func writeBegin(_ item: ResponseOutput.Item, _ index: Int) {
        writeItem("response.output_item.added", item, index, isBegin: true)
        if item.isRequest { return }
        if let call = item.call, item.isClients {
            event("response.function_call_arguments.delta", item, index) { $0.field("delta", call.arguments) }
            event("response.function_call_arguments.done", item, index) { json in
                json.field("name", call.name)
                json.field("arguments", call.arguments)
            }
        } else if let call = item.call {
            event("response.mcp_call.in_progress", item, index) { _ in }
            event("response.mcp_call_arguments.delta", item, index) { $0.field("delta", call.arguments) }
            event("response.mcp_call_arguments.done", item, index) { $0.field("arguments", call.arguments) }
        } else {
            event("response.content_part.added", item, index) { json in
                json.field("content_index", 0)
                json.key("part")
                ResponseOutput.writePart("", into: &json)
            }
            deltaEnvelope = Self.deltaEnvelope(item, index)
        }
    }

    private mutating func writeEnd(_ item: ResponseOutput.Item, _ index: Int) {
        if item.isRequest || item.isClients {
            // It is whole from its begin.
            return writeItem("response.output_item.done", item, index)
        }
        if item.call == nil {
            event("response.output_text.done", item, index) { json in
                json.field("content_index", 0)
                json.field("text", item.text)
                json.key("logprobs")
                json.literal("[]")
            }
            event("response.content_part.done", item, index) { json in
                json.field("content_index", 0)
                json.key("part")
                ResponseOutput.writePart(item.text, into: &json)
            }
        } else if item.status == .completed {
            event("response.mcp_call.completed", item, index) { _ in }
        } else if item.status == .failed {
            event("response.mcp_call.failed", item, index) { _ in }
        }
        writeItem("response.output_item.done", item, index)
    }

    private mutating func writeDelta(_ piece: String) {
        defer { sequence += 1 }
        guard sequence >= first else { return }
        json.raw(deltaEnvelope)
        json.field("sequence_number", sequence)
        json.field("delta", piece)
        json.endObject()
        json.frame("\n\n")
    }

    private static func deltaEnvelope(_ item: ResponseOutput.Item, _ index: Int) -> [UInt8] {
        var json = JSONWriter()
        json.frame("event: response.output_text.delta\ndata: ")
        json.beginObject()
        json.field("type", "response.output_text.delta")
        json.field("item_id", item.id)
        json.field("output_index", index)
        json.field("content_index", 0)
        json.key("logprobs")
        json.literal("[]")
        return json.bytes
    }

    private mutating func writeItem(
        _ name: StaticString, _ item: ResponseOutput.Item, _ index: Int, isBegin: Bool = false
    ) {
        let output = response.output
        event(name) { json in
            json.field("output_index", index)
            json.key("item")
            output.write(item, into: &json, isBegin: isBegin)
        }
    }

    private mutating func writeResponse(_ name: StaticString, isBegin: Bool = false) {
        let response = response
        event(name) { json in
            json.key("response")
            response.write(into: &json, isBegin: isBegin)
        }
    }

    private mutating func event(
        _ name: StaticString, _ item: ResponseOutput.Item, _ index: Int,
        _ members: (inout JSONWriter) -> Void
    ) {
        event(name) { json in
            json.field("item_id", item.id)
            json.field("output_index", index)
            members(&json)
        }
    }

    private mutating func event(_ name: StaticString, _ members: (inout JSONWriter) -> Void) {
        defer { sequence += 1 }
        guard sequence >= first else { return }
        json.frame("event: ")
        json.frame(name)
        json.frame("\ndata: ")
        json.beginObject()
        json.field("type", name.description)
        json.field("sequence_number", sequence)
        members(&json)
        json.endObject()
        json.frame("\n\n")
    }

    private func framed() -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: json.bytes.count + 16)
        buffer.writeFramed(framing) { $0.writeBytes(json.bytes) }
        return buffer
    }
}

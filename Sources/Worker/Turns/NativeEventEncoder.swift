/// Writes a turn's events in the worker's own event-stream format: named events, each with an id to resume from.
import Agent
import Memory
import NIOCore

struct NativeEventEncoder {
    /// One try to answer a turn. A later version that restarts turns counts on.
    private static let attempt = 1

    private let turn: TurnID
    private var sequence = 0
    private var json = JSONWriter(capacity: 512)

    init(turn: TurnID) {
        self.turn = turn
    }

    mutating func started(session: String, agent: String, tier: MemoryTier) -> (id: String, bytes: ByteBuffer)
    {
        let turn = turn
        return event("turn.started") { json in
            json.field("turn_id", turn.value)
            json.field("session_id", session)
            json.field("agent", agent)
            json.field("memory_tier", tier.rawValue)
        }
    }

    /// `nil` for events that clients are not told of.
    mutating func encode(_ event: TurnEvent) -> (id: String, bytes: ByteBuffer)? {
        switch event {
        case .step(let name):
            return self.event("turn.step") { $0.field("step", name) }
        case .recalled(let recall):
            return self.event("memory.recalled") { json in
                json.key("memories")
                json.beginArray()
                for memory in recall.memories { memory.write(into: &json) }
                json.endArray()
                json.key("skipped")
                json.beginArray()
                for stage in recall.skipped { json.string(stage.rawValue) }
                json.endArray()
            }
        case .text(let text):
            return self.event("text.delta") { $0.field("text", text) }
        case .toolCall(let call):
            return self.event("tool.call") { json in
                json.field("id", call.id)
                json.field("name", call.name)
                json.field("arguments", call.arguments)
            }
        case .committed(let report):
            let turn = turn
            return self.event("turn.completed") { json in
                json.field("turn_id", turn.value)
                json.field("turn", report.outcome.sequence)
                json.field("ending", report.turn.ending.rawValue)
                json.field("finish_reason", report.finishReason.rawValue)
                json.key("usage")
                report.usage.write(into: &json)
            }
        case .failed(let failure):
            return failed(APIError(failure))
        }
    }

    mutating func failed(_ error: APIError) -> (id: String, bytes: ByteBuffer) {
        let turn = turn
        return event("turn.failed") { json in
            json.field("turn_id", turn.value)
            json.key("error")
            error.write(into: &json)
        }
    }

    private mutating func event(_ name: StaticString, _ members: (inout JSONWriter) -> Void) -> (
        id: String, bytes: ByteBuffer
    ) {
        sequence += 1
        let id = "\(turn.value).\(Self.attempt).\(sequence)"
        json.reset()
        json.beginObject()
        members(&json)
        json.endObject()
        var bytes = ByteBufferAllocator().buffer(capacity: json.bytes.count + 96)
        bytes.writeStaticString("event: ")
        bytes.writeStaticString(name)
        bytes.writeStaticString("\nid: ")
        bytes.writeString(id)
        bytes.writeStaticString("\ndata: ")
        bytes.writeBytes(json.bytes)
        bytes.writeStaticString("\n\n")
        return (id, bytes)
    }
}

extension RecalledMemory {
    func write(into json: inout JSONWriter) {
        json.beginObject()
        json.field("id", id)
        json.field("object", "memory")
        json.field("kind", kind.rawValue)
        json.field("session_id", session)
        json.field("agent", agent)
        json.field("first_turn", firstTurn)
        json.field("last_turn", lastTurn)
        json.field("created_at", time / 1000)
        json.field("text", text)
        json.field("excerpt", excerpt)
        json.key("entities")
        json.beginArray()
        for entity in entities { json.string(entity) }
        json.endArray()
        json.field("score", score)
        json.endObject()
    }
}

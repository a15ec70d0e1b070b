/// Writes a turn's events in the worker's own event-stream format: named events, each with an id to resume from.
import Agent
import Memory
import NIOCore

/// How a turn came to its last event.
enum TurnEnd: Sendable {
    case completed, failed

    /// Nil where more is to come.
    init?(_ last: TurnEvent?) {
        switch last {
        case .committed: self = .completed
        case .failed: self = .failed
        default: return nil
        }
    }
}

/// A whole event with its empty line at the end.
struct EncodedEvent: Sendable {
    var id: EventID
    var bytes: ByteBuffer
}

struct NativeEventEncoder {
    private var id: EventID
    private var json = JSONWriter(capacity: 512)

    /// Characters of a tool's answer that clients are told; the model has all of it.
    static let shownResult = 4096

    /// - Parameter attempt: which try to answer the turn; counted from 1.
    init(turn: TurnID, attempt: Int = 1) {
        id = EventID(turn: turn, attempt: attempt, sequence: 0)
    }

    /// Voids what the attempts before this one have told.
    mutating func restarted() -> EncodedEvent {
        let id = id
        return event("turn.restarted") { json in
            json.field("turn_id", id.turn.value)
            json.field("attempt", id.attempt)
        }
    }

    mutating func started(
        session: String, agent: String, route: AgentRouter.Route? = nil, tier: MemoryTier
    ) -> EncodedEvent {
        let turn = id.turn
        return event("turn.started") { json in
            json.field("turn_id", turn.value)
            json.field("session_id", session)
            json.field("agent", agent)
            switch route?.reason {
            case .rule: json.field("routed_by", "rule")
            case .nearest: json.field("routed_by", "description")
            case .fallback, nil: break
            }
            json.field("memory_tier", tier.rawValue)
        }
    }

    /// `nil` for events that clients are not told of.
    mutating func encode(_ event: TurnEvent) -> EncodedEvent? {
        switch event {
        case .step(let name, let kind):
            return self.event("turn.step") { json in
                json.field("step", name)
                json.field("kind", kind.rawValue)
            }
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
                if call.byClient == true { json.field("by_client", true) }
            }
        case .toolProgress(let id, let name, let progress):
            return self.event("tool.progress") { json in
                json.field("id", id)
                json.field("name", name)
                if let done = progress.progress { json.field("progress", done) }
                if let total = progress.total { json.field("total", total) }
                if let message = progress.message { json.field("message", message) }
            }
        case .toolResult(let id, let name, let result):
            let shown = result.text.prefix(Self.shownResult)
            return self.event("tool.result") { json in
                json.field("id", id)
                json.field("name", name)
                json.field("outcome", result.outcome.rawValue)
                json.field("text", String(shown))
                if shown.endIndex < result.text.endIndex { json.field("truncated", true) }
            }
        case .approvalRequired(let call):
            return self.event("approval.required") { json in
                json.field("id", call.id)
                json.field("name", call.name)
                json.field("arguments", call.arguments)
            }
        case .guarded(.suspicion(let suspicion)):
            return self.event("guard.suspicion") { json in
                json.field("source", suspicion.source.rawValue)
                if !suspicion.id.isEmpty { json.field("id", suspicion.id) }
                json.field("marker", suspicion.marker.rawValue)
                json.field("left_out", suspicion.isLeftOut)
            }
        case .guarded(.unmoderated(let reason, let isRefused)):
            return self.event("guard.unmoderated") { json in
                json.field("reason", reason)
                json.field("refused", isRefused)
            }
        case .agentChanged(let agent):
            return self.event("agent.changed") { $0.field("agent", agent) }
        case .committed(let report):
            let turn = id.turn
            return self.event(report.turn.ending == .waiting ? "turn.paused" : "turn.completed") { json in
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

    mutating func failed(_ error: APIError) -> EncodedEvent {
        let turn = id.turn
        return event("turn.failed") { json in
            json.field("turn_id", turn.value)
            json.key("error")
            error.write(into: &json)
        }
    }

    private mutating func event(_ name: StaticString, _ members: (inout JSONWriter) -> Void) -> EncodedEvent {
        id.sequence += 1
        json.reset()
        json.beginObject()
        members(&json)
        json.endObject()
        var bytes = ByteBufferAllocator().buffer(capacity: json.bytes.count + 96)
        bytes.writeStaticString("event: ")
        bytes.writeStaticString(name)
        bytes.writeStaticString("\nid: ")
        bytes.writeString(id.text)
        bytes.writeStaticString("\ndata: ")
        bytes.writeBytes(json.bytes)
        bytes.writeStaticString("\n\n")
        return EncodedEvent(id: id, bytes: bytes)
    }

    /// What ends a stream before its turn's end: no event of the turn, so that the client goes on after the last one that is.
    static func cut(_ error: APIError) -> ByteBuffer {
        var json = JSONWriter(capacity: 256)
        json.beginObject()
        json.key("error")
        error.write(into: &json)
        json.field("resumable", true)
        json.endObject()
        var bytes = ByteBuffer(staticString: "event: error\nretry: 1000\ndata: ")
        bytes.writeBytes(json.bytes)
        bytes.writeStaticString("\n\n")
        return bytes
    }

    /// Tells a client to come again, here or elsewhere; where it says `Last-Event-ID` it misses nothing.
    static func reconnect(after pause: Duration) -> ByteBuffer {
        let milliseconds =
            pause.components.seconds * 1000 + pause.components.attoseconds / 1_000_000_000_000_000
        return ByteBuffer(string: "event: reconnect\nretry: \(milliseconds)\ndata: {}\n\n")
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

/// A stored turn as the items of OpenAI's responses and conversations: what came in, what a person decided, and what each part told. Pure.
import Agent
import Memory

struct TurnItems {
    struct Item: Equatable {
        var id: String
        /// A JSON object.
        var json: [UInt8]
    }

    let stored: StoredTurn
    let session: SessionID
    /// What the calls' server is called.
    let serverLabel: String

    private var turn: Turn { stored.turn }

    /// In the order in which they came to be.
    var all: [Item] { (0..<turn.parts).flatMap { input(ofPart: $0) + output(ofPart: $0) } }

    /// Instructions are not stored, and none of them.
    func input(ofPart part: Int) -> [Item] {
        guard part > 0 else { return messages }
        let asked = turn.steps.flatMap { $0.toolCalls ?? [] }
        return turn.pauses[part - 1].compactMap { id in
            asked.first { $0.id == id }.map { decision(about: $0) }
        }
    }

    private var messages: [Item] {
        let hasReply = turn.inputCount == nil && turn.messages.last?.role == .assistant
        let input = turn.messages.prefix(turn.inputCount ?? turn.messages.count - (hasReply ? 1 : 0))
        return input.enumerated().flatMap { index, message in
            guard message.role != .tool else { return [answer(message, index)] }
            let calls = (message.toolCalls ?? []).enumerated().map { self.call($1, index, $0) }
            return (message.content.isEmpty && !calls.isEmpty ? [] : [said(message, index)]) + calls
        }
    }

    private func said(_ message: Message, _ index: Int) -> Item {
        Self.item(ResponseItemID.input("msg", turn.id, index: index), "message") { json in
            json.field("status", "completed")
            json.field("role", message.role.rawValue)
            json.key("content")
            json.beginArray()
            if message.role == .assistant {
                ResponseOutput.writePart(message.content, into: &json)
            } else {
                json.beginObject()
                json.field("type", "input_text")
                json.field("text", message.content)
                json.endObject()
            }
            json.endArray()
        }
    }

    /// Of a history that the client brought.
    private func call(_ call: ToolCall, _ index: Int, _ place: Int) -> Item {
        Self.item(ResponseItemID.input("fc", turn.id, index: index, call: place), "function_call") { json in
            json.field("status", "completed")
            json.field("call_id", call.id)
            json.field("name", call.name)
            json.field("arguments", call.arguments)
        }
    }

    private func answer(_ message: Message, _ index: Int) -> Item {
        Self.item(ResponseItemID.input("fco", turn.id, index: index), "function_call_output") { json in
            json.field("status", "completed")
            json.field("call_id", message.toolCallID ?? "")
            json.field("output", message.content)
        }
    }

    /// Whoever went on without a decision has refused. The reason stands in what the model was told.
    private func decision(about call: ToolCall) -> Item {
        let id = ApprovalRequestID(turn: turn.id, call: call.id)
        return Self.item(id.answerText, "mcp_approval_response") { json in
            json.field("approval_request_id", id.text)
            json.field("approve", call.approval == .approved)
        }
    }

    private func output(ofPart part: Int) -> [Item] {
        let output = ResponseObject(stored, part: part, of: session, serverLabel: serverLabel).output
        return output.items.map { item in
            var json = JSONWriter()
            output.write(item, into: &json)
            return Item(id: item.id, json: json.bytes)
        }
    }

    private static func item(
        _ id: String, _ type: StaticString, _ members: (inout JSONWriter) -> Void
    ) -> Item {
        var json = JSONWriter()
        json.beginObject()
        json.field("id", id)
        json.field("type", type.description)
        members(&json)
        json.endObject()
        return Item(id: id, json: json.bytes)
    }
}

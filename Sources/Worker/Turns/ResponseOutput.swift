/// The items of a response's output, put together from a turn's events: the agent's messages, and the calls of its tools between them. Pure.
import Agent
import Memory

/// A turn that waited for a person is told in parts, each by a response of its own: what comes up to a wait, with the calls that a
/// person is asked for, and what follows the decision, those calls first.
struct ResponseOutput: Sendable {
    enum Status: String, Sendable {
        case inProgress = "in_progress"
        case completed, incomplete, failed
    }

    struct Item: Sendable {
        /// Unique within the session.
        var id: String
        var status = Status.inProgress
        /// Nil for a message.
        var call: ToolCall?
        /// Where a person is asked for the call, or was.
        var approval: ApprovalRequestID?
        /// It asks a person; the call is not made.
        var isRequest = false
        /// What came of the call, where that is known.
        var result: ToolResult?
        /// Of a message.
        var text = ""

        /// The call is the client's to carry out.
        var isClients: Bool { call?.byClient == true }

        fileprivate var type: String {
            guard call != nil else { return "message" }
            return isRequest ? "mcp_approval_request" : isClients ? "function_call" : "mcp_call"
        }
    }

    /// What an event changes, by the item's index.
    enum Change: Equatable, Sendable {
        case began(Int)
        case said(Int, String)
        case ended(Int)
    }

    /// What the calls' server is called: the event doesn't say which of the pool's servers it is.
    let serverLabel: String
    /// How often the turn had waited before what is told here.
    let part: Int
    private(set) var items: [Item] = []
    private let turn: TurnID
    /// The part of which the events tell.
    private var reached = 0
    /// Of the model's last reply: a call of it waited for a person, and calls of it have been answered.
    private var (hasWaited, isAnswered) = (false, false)

    init(turn: TurnID, part: Int = 0, serverLabel: String) {
        self.turn = turn
        self.part = part
        self.serverLabel = serverLabel
    }

    /// Events of other parts change nothing.
    mutating func take(_ event: TurnEvent) -> [Change] {
        switch event {
        case .text(let piece):
            guard !piece.isEmpty else { return [] }
            beginReply()
            guard reached == part else { return [] }
            var changes: [Change] = []
            if openMessage == nil { changes.append(begin(Item(id: id("msg")))) }
            items[items.count - 1].text += piece
            return changes + [.said(items.count - 1, piece)]
        case .toolCall(let call):
            beginReply()
            return take(call)
        case .toolResult(let id, _, let result):
            isAnswered = true
            guard let index = items.lastIndex(where: { $0.call?.id == id && $0.status == .inProgress })
            else { return [] }
            items[index].result = result
            return [end(index, result.outcome == .done ? .completed : .failed)]
        // The call has said by its mark that it waits. OpenAI's API has no words for progress.
        case .approvalRequired, .toolProgress, .agentChanged, .guarded, .step, .recalled, .committed, .failed:
            return []
        }
    }

    private mutating func take(_ call: ToolCall) -> [Change] {
        // It is told when it is known that the turn ends with it.
        guard call.byClient != true else { return [] }
        guard call.approval != nil else {
            return reached == part ? endMessage() + [begin(Item(id: id("mcp"), call: call))] : []
        }
        hasWaited = true
        let approval = ApprovalRequestID(turn: turn, call: call.id)
        if reached == part {
            let item = Item(id: approval.text, call: call, approval: approval, isRequest: true)
            return endMessage() + [begin(item), end(items.count - 1, .completed)]
        }
        return reached + 1 == part ? [begin(Item(id: id("mcp"), call: call, approval: approval))] : []
    }

    /// What follows the answers of calls is the model's next reply.
    private mutating func beginReply() {
        if isAnswered, hasWaited { (reached, hasWaited) = (reached + 1, false) }
        isAnswered = false
    }

    /// Nothing comes after. A reply of no words is an empty message.
    ///
    /// - Parameters:
    ///   - status: of a message that was being written.
    ///   - calls: with which the turn ends, for the client to carry out.
    mutating func end(_ status: Status, asking calls: [ToolCall] = []) -> [Change] {
        var changes = calls.isEmpty ? [] : endMessage()
        for call in calls {
            changes += [begin(Item(id: id("fc"), call: call)), end(items.count - 1, .completed)]
        }
        if items.isEmpty, status == .completed { changes.append(begin(Item(id: id("msg")))) }
        for index in items.indices where items[index].status == .inProgress {
            changes.append(end(index, items[index].call == nil ? status : .incomplete))
        }
        return changes
    }

    /// Text goes into the last item alone.
    private var openMessage: Int? {
        guard let last = items.last, last.call == nil, last.status == .inProgress else { return nil }
        return items.count - 1
    }

    private mutating func endMessage() -> [Change] { openMessage.map { [end($0, .completed)] } ?? [] }

    private func id(_ kind: StaticString) -> String {
        ResponseItemID.output(kind, turn, part: part, index: items.count)
    }

    private mutating func begin(_ item: Item) -> Change {
        items.append(item)
        return .began(items.count - 1)
    }

    private mutating func end(_ index: Int, _ status: Status) -> Change {
        items[index].status = status
        return .ended(index)
    }
}

extension ResponseOutput {
    /// Characters of a tool's answer that clients are told; the model has all of it.
    private static var shownResult: Int { NativeEventEncoder.shownResult }

    func write(into json: inout JSONWriter) {
        json.beginArray()
        for item in items { write(item, into: &json) }
        json.endArray()
    }

    /// - Parameter isBegin: as it was before its first word, or before its arguments.
    func write(_ item: Item, into json: inout JSONWriter, isBegin: Bool = false) {
        json.beginObject()
        json.field("id", item.id)
        json.field("type", item.type)
        if !item.isRequest {
            json.field("status", isBegin ? Status.inProgress.rawValue : item.status.rawValue)
        }
        if let call = item.call, item.isClients {
            json.field("call_id", call.id)
            json.field("name", call.name)
            json.field("arguments", isBegin ? "" : call.arguments)
        } else if let call = item.call {
            json.field("server_label", serverLabel)
            json.field("name", call.name)
            json.field("arguments", isBegin && !item.isRequest ? "" : call.arguments)
            if !item.isRequest { write(item, madeInto: &json) }
        } else {
            json.field("role", "assistant")
            json.key("content")
            json.beginArray()
            if !isBegin { Self.writePart(item.text, into: &json) }
            json.endArray()
        }
        json.endObject()
    }

    static func writePart(_ text: String, into json: inout JSONWriter) {
        json.beginObject()
        json.field("type", "output_text")
        json.field("text", text)
        for name: StaticString in ["annotations", "logprobs"] {
            json.key(name)
            json.literal("[]")
        }
        json.endObject()
    }

    /// What is known of a call beside what was asked.
    private func write(_ item: Item, madeInto json: inout JSONWriter) {
        json.key("approval_request_id")
        if let approval = item.approval { json.string(approval.text) } else { json.null() }
        let result = item.result
        let shown = result?.text.prefix(Self.shownResult)
        json.key("output")
        if let shown, result?.outcome == .done { json.string(String(shown)) } else { json.null() }
        json.key("error")
        if let shown, let outcome = result?.outcome, outcome != .done {
            json.beginObject()
            json.field("type", "mcp_tool_execution_error")
            json.field("outcome", outcome.rawValue)
            json.key("content")
            json.beginArray()
            json.beginObject()
            json.field("type", "text")
            json.field("text", String(shown))
            json.endObject()
            json.endArray()
            json.endObject()
        } else {
            json.null()
        }
        if let shown, let text = result?.text, shown.endIndex < text.endIndex {
            json.field("truncated", true)
        }
    }
}

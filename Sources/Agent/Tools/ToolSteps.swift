/// What a turn has got to: the model's calls and the tools' answers, and which of these are still to come. Pure.
import Memory

/// The messages follow the turn's input. They are all that a worker needs which goes on with the turn of one that is gone.
struct ToolSteps: Sendable, Equatable {
    private(set) var messages: [Message]
    /// Bytes that the answers of the turn's tools may have, together.
    private var room: Int

    static let maximumBytes = 1 << 20
    static let separator = "\n\n"
    static let unknownText = """
        No answer came to this call, and it may have taken effect. Don't call the tool again for the same purpose \
        without making sure of that.
        """

    /// - Parameter recorded: the steps of an earlier attempt. What was said last, without asking for a tool and before the workflow
    ///   went on, is asked anew.
    init(recorded: some Collection<Message> = []) {
        let end = recorded.reversed().drop {
            $0.role != .tool && ($0.toolCalls ?? []).isEmpty && $0.node == nil
        }.count
        messages = Array(recorded.prefix(end))
        room = Self.maximumBytes
        for message in messages where message.role == .tool { room -= message.content.utf8.count }
    }

    /// Replies of the model that asked for tools.
    var rounds: Int { messages.count { !($0.toolCalls ?? []).isEmpty } }

    var callIDs: Set<String> { Set(messages.lazy.flatMap { $0.toolCalls ?? [] }.map(\.id)) }

    /// The skills that were read.
    var activatedSkills: [String] { messages.compactMap(\.skillText?.skill) }

    /// The calls that the model asked for last and that have no answer.
    var open: [ToolCall] {
        guard let asked = messages.lastIndex(where: { !($0.toolCalls ?? []).isEmpty }) else { return [] }
        let answered = Set(messages[asked...].compactMap(\.toolCallID))
        return (messages[asked].toolCalls ?? []).filter { !answered.contains($0.id) }
    }

    /// The open calls, where it was this visit of a node that asked for them.
    func open(of mark: String) -> [ToolCall] {
        let asked = messages.last { !($0.toolCalls ?? []).isEmpty }
        // Turns that were stored before nodes had marks went through one node that asks.
        return asked?.node == nil || asked?.node == mark ? open : []
    }

    /// Replies of a visit's model that asked for tools.
    func rounds(of mark: String) -> Int {
        messages.count { ($0.node == nil || $0.node == mark) && !($0.toolCalls ?? []).isEmpty }
    }

    /// What a visit of a node asked for first; nil where it has asked for nothing.
    func calls(of mark: String) -> [ToolCall]? {
        messages.first { $0.node == mark && !($0.toolCalls ?? []).isEmpty }?.toolCalls
    }

    /// What a visit of a node said to its end; nil where it is not at its end.
    func reply(of mark: String) -> String? {
        messages.first { $0.node == mark && ($0.toolCalls ?? []).isEmpty }?.content
    }

    /// The last of them is a reply, to which another node's is to be added.
    var endInReply: Bool {
        messages.last.map { $0.role == .assistant && ($0.toolCalls ?? []).isEmpty } ?? false
    }

    /// Ends the reply that another node's is about to follow with an empty line, so that a reader sees two.
    ///
    /// - Returns: false where none stands there, or its end does already.
    mutating func separateReplies() -> Bool {
        let isReply = { (message: Message) in message.node != nil && (message.toolCalls ?? []).isEmpty }
        guard let place = messages.lastIndex(where: { $0.role == .assistant && !$0.content.isEmpty }),
            isReply(messages[place]), !messages[place].content.hasSuffix(Self.separator)
        else { return false }
        messages[place].content += Self.separator
        return true
    }

    func answer(to call: ToolCall) -> Message? {
        messages.first { $0.role == .tool && $0.toolCallID == call.id }
    }

    /// The id, or one like it that no call has.
    func freeID(_ id: String) -> String {
        let taken = callIDs
        var id = id
        while taken.contains(id) { id += "_" }
        return id
    }

    /// Records what a person decided about open calls: those that are refused are answered by that.
    mutating func decide(_ decisions: [String: ApprovalDecision]) {
        for call in open {
            switch decisions[call.id] {
            case .approved: mark(call, .approved)
            case .refused(let reason): answer(call, .refused(because: reason))
            case nil: break
            }
        }
    }

    /// Records how far the approval of an open call is.
    mutating func mark(_ call: ToolCall, _ approval: CallApproval) {
        guard let asked = messages.lastIndex(where: { !($0.toolCalls ?? []).isEmpty }),
            let place = messages[asked].toolCalls?.firstIndex(where: { $0.id == call.id })
        else { return }
        messages[asked].toolCalls?[place].approval = approval
    }

    mutating func ask(_ reply: Message) {
        messages.append(reply)
    }

    /// Adds a call's answer, in the order of the calls. It is cut where there is no more room.
    ///
    /// - Returns: the result as it is kept.
    @discardableResult
    mutating func answer(_ call: ToolCall, _ result: ToolResult) -> ToolResult {
        var result = result
        if result.text.utf8.count > max(room, 0) {
            result.text =
                Sentences.bounded(result.text, bytes: max(room, 0))
                + " [cut: the turn's tools have said too much]"
            result.skillText?.version = nil
        }
        room -= result.text.utf8.count
        let order = (messages.last { !($0.toolCalls ?? []).isEmpty }?.toolCalls ?? []).map(\.id)
        let rank = order.firstIndex(of: call.id) ?? order.endIndex
        var place = messages.endIndex
        while place > messages.startIndex, messages[place - 1].role == .tool,
            let other = order.firstIndex(of: messages[place - 1].toolCallID ?? ""), other > rank
        {
            place -= 1
        }
        messages.insert(
            Message(
                role: .tool, content: result.text, name: call.name, toolCallID: call.id,
                toolOutcome: result.outcome, newAgent: result.newAgent, skillText: result.skillText),
            at: place)
        return result
    }

    /// What a client is told of the steps of a visit, as if they were made now.
    func events(of mark: String) -> [TurnEvent] {
        // Turns that were stored before nodes had marks went through one node that asks.
        var isOfVisit = false
        return TurnEvent.telling(
            messages.filter { message in
                if message.role == .assistant { isOfVisit = message.node == nil || message.node == mark }
                return isOfVisit
            }
        ).filter { event in
            // A client's call is told when the turn ends with it.
            guard case .toolCall(let call) = event, call.byClient == true else { return true }
            return answer(to: call) != nil
        }
    }
}

extension TurnEvent {
    /// What an agent's messages and its tools' answers are to a client.
    static func telling(_ messages: some Sequence<Message>) -> [TurnEvent] {
        messages.flatMap { message -> [TurnEvent] in
            switch message.role {
            case .assistant:
                let text: [TurnEvent] = message.content.isEmpty ? [] : [.text(message.content)]
                return text + (message.toolCalls ?? []).map { .toolCall($0) }
            case .tool:
                let result = ToolResult(message.toolOutcome ?? .done, message.content)
                return [
                    .toolResult(id: message.toolCallID ?? "", name: message.name ?? "", result)
                ] + (message.newAgent.map { [.agentChanged(to: $0)] } ?? [])
            case .system, .user: return []
            }
        }
    }
}

/// The nodes `callTool`, `httpCall` and `parallel`: calls that the workflow makes, not a model. They are recorded as a model's are.
import Memory
import PoolAPI

/// What one node calls, and with which arguments.
struct NodeCall: Sendable {
    /// The node.
    let name: String
    /// Of the `ToolSource`.
    let source: String
    let tool: String
    /// Under which name it is recorded; one tool's alone among those of the node.
    private(set) var function: String
    private let arguments: WorkflowTemplates

    /// Nil for a node of another kind.
    init?(_ node: AgentPoolSpec.Workflow.Node) throws {
        name = node.name
        if let call = node.callTool {
            (source, tool) = (call.server, call.tool)
            arguments = try WorkflowTemplates(.object(call.arguments))
        } else if let call = node.httpCall {
            (source, tool) = (HTTPCalls.sourceName, node.name)
            arguments = try WorkflowTemplates(call.arguments)
        } else {
            return nil
        }
        function = Toolbox.functionName(tool)
    }

    /// The calls of one node: tools of one name are told apart by their servers', and by numbers.
    static func together(_ calls: [NodeCall]) -> [NodeCall] {
        var names: [String: (source: String, tool: String)] = [:]
        return calls.map { call in
            var call = call
            func isTaken() -> Bool {
                names[call.function].map { $0 != (call.source, call.tool) } ?? false
            }
            if isTaken() { call.function = Toolbox.functionName("\(call.source)__\(call.tool)") }
            var number = 2
            while isTaken() {
                call.function = Toolbox.functionName("call_\(number)")
                number += 1
            }
            names[call.function] = (call.source, call.tool)
            return call
        }
    }

    func arguments(_ state: TurnState) -> String {
        String(decoding: arguments.filled(state.value).bytes(), as: UTF8.self)
    }
}

/// What the node `condition` looks for, and where.
struct NodeCondition: Sendable {
    private let text: WorkflowTemplate
    private let pattern: LinearPattern

    init(_ node: AgentPoolSpec.Workflow.Node) throws {
        text = try WorkflowTemplate(node.condition?.text ?? "")
        pattern = try LinearPattern(node.condition?.matches ?? "")
    }

    func holds(_ state: TurnState) -> Bool { pattern.isFound(in: text.text(state.value)) }
}

extension TurnEngine {
    /// Makes the calls of a node side by side. They are durable before they are made, and their answers after it; what an earlier
    /// attempt of the turn has done is not done again.
    func make(
        _ calls: [NodeCall], recalls: Bool, _ state: inout TurnState, _ around: Surroundings,
        at visit: WorkflowWalk.Visit
    ) async {
        state.closeReply()
        let query = recalls ? state.recallQuery : nil
        async let recalled = Self.recall(query, around.memory)
        if state.steps.calls(of: visit.mark) == nil {
            var message = Message(role: .assistant, content: "", toolCalls: [], node: visit.mark)
            for (number, call) in calls.enumerated() {
                message.toolCalls?.append(
                    ToolCall(
                        id: state.steps.freeID(state.callID(number)), name: call.function,
                        arguments: call.arguments(state)))
            }
            state.steps.ask(message)
            state.areRecorded = false
            state.untold += (message.toolCalls ?? []).map { .toolCall($0) }
            await keep(&state, around)
            await carryOut(calls, &state, around)
        } else {
            state.untold += state.steps.events(of: visit.mark)
            if !state.steps.open(of: visit.mark).isEmpty { await carryOut(calls, &state, around) }
        }
        if let recall = await recalled {
            state.recall = recall
            state.untold.append(.recalled(recall))
        }
        let answers = (state.steps.calls(of: visit.mark) ?? []).map { state.steps.answer(to: $0) }
        state.isFailed = answers.contains { $0?.toolOutcome != .done }
        for (call, answer) in zip(calls, answers) { state.outputs[call.name] = answer?.content }
    }

    private func carryOut(_ calls: [NodeCall], _ state: inout TurnState, _ around: Surroundings) async {
        guard !state.isUnstorable else { return }
        let toolCalls = ToolCalls(toolbox: await toolbox(for: calls), areRecorded: state.areRecorded)
        await toolCalls.carryOut(
            &state, around, within: remaining(around), preface: state.takeUntold(),
            keep: { await keep(&$0, around) })
    }

    private static func recall(_ query: String?, _ memory: TurnMemory) async -> Recall? {
        guard let query else { return nil }
        return await memory.recall(query)
    }

    /// What the node may call and nothing else, under the names that it has for them, whatever their servers offer beside.
    private func toolbox(for calls: [NodeCall]) async -> Toolbox {
        let names = Set(calls.map(\.source))
        let all = await Toolbox.gather(
            toolSources.filter { names.contains($0.name) }, within: Self.listingLimit, logger: logger)
        return Toolbox(
            offers: all.offers.compactMap { offer in
                calls.first { $0.source == offer.source.name && $0.tool == offer.tool.name }.map { call in
                    var offer = offer
                    offer.name = call.function
                    return offer
                }
            })
    }
}

extension TurnState {
    /// The same on each attempt, and another one in each turn.
    fileprivate func callID(_ number: Int) -> String {
        let turn = input.turnID.value.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return "step_\(String(turn, radix: 16))_\(steps.messages.count)_\(number + 1)"
    }
}

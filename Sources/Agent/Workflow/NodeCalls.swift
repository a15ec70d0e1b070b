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
    }

    func arguments(_ state: TurnState) -> String {
        String(decoding: arguments.filled(state.value).bytes(), as: UTF8.self)
    }
}

/// What the node `condition` looks for, and where.
struct NodeCondition: Sendable {
    private let text: WorkflowTemplate
    private let pattern: CompiledPattern

    init(_ node: AgentPoolSpec.Workflow.Node) throws {
        text = try WorkflowTemplate(node.condition?.text ?? "")
        pattern = try CompiledPattern(node.condition?.matches ?? "")
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
            let toolbox = await toolbox(for: calls)
            var message = Message(role: .assistant, content: "", toolCalls: [], node: visit.mark)
            for (number, call) in calls.enumerated() {
                message.toolCalls?.append(
                    ToolCall(
                        id: state.steps.freeID("\(visit.mark.replacing("/", with: "_"))_\(number + 1)"),
                        name: toolbox.name(of: call), arguments: call.arguments(state)))
            }
            state.steps.ask(message)
            state.areRecorded = false
            state.untold += (message.toolCalls ?? []).map { .toolCall($0) }
            await keep(&state, around)
            await carryOut(toolbox, &state, around)
        } else if !state.steps.open.isEmpty {
            await carryOut(await toolbox(for: calls), &state, around)
        }
        if let recall = await recalled {
            state.recall = recall
            state.untold.append(.recalled(recall))
        }
        let answers = (state.steps.calls(of: visit.mark) ?? []).map { state.steps.answer(to: $0) }
        state.isFailed = answers.contains { $0?.toolOutcome != .done }
        for (call, answer) in zip(calls, answers) { state.outputs[call.name] = answer?.content }
    }

    private func carryOut(_ toolbox: Toolbox, _ state: inout TurnState, _ around: Surroundings) async {
        guard !state.isUnstorable else { return }
        let calls = ToolCalls(toolbox: toolbox, areRecorded: state.areRecorded)
        await calls.carryOut(
            &state, around, within: remaining(around), preface: state.takeUntold(),
            keep: { await keep(&$0, around) })
    }

    private static func recall(_ query: String?, _ memory: TurnMemory) async -> Recall? {
        guard let query else { return nil }
        return await memory.recall(query)
    }

    private func toolbox(for calls: [NodeCall]) async -> Toolbox {
        let names = Set(calls.map(\.source))
        return await Toolbox.gather(
            toolSources.filter { names.contains($0.name) }, within: Self.listingLimit, logger: logger)
    }
}

extension Toolbox {
    /// Under which name it has what the node calls; the tool's own where its server doesn't offer it.
    fileprivate func name(of call: NodeCall) -> String {
        offers.first { $0.source.name == call.source && $0.tool.name == call.tool }?.name ?? call.tool
    }
}

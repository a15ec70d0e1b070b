/// Agents as the tools of another agent: each answers one question by itself, and several do so side by side.
import Logging
import Memory
import PoolAPI

/// Asks agents in another one's name. What they say to each other is no part of the session: the question and the answer are
/// a call of a tool and its result.
struct AgentTools: Sendable {
    let roster: AgentRoster
    let onInjection: AgentPoolSpec.Guard.Injection.Match
    let logger: Logger
    /// How many agents stand between the client and those that are asked.
    let depth: Int

    /// An agent that a client talks to may ask one that asks one that asks one.
    static let maximumDepth = 3
    /// Replies of one answer that may ask for tools.
    static let maximumRounds = 8
    static let prefix = "ask_"

    /// The tools of a member, with the agents that it may ask.
    func sources(of member: AgentRoster.Member) -> [ToolSource] {
        guard !member.agentTools.isEmpty, depth < Self.maximumDepth else { return member.tools }
        let asked = member.agentTools.compactMap { roster.member($0) }
        let byTool = Dictionary(asked.map { (Self.prefix + $0.name, $0) }) { first, _ in first }
        let source = ToolSource(
            name: "agents", callLimit: nil,
            list: { _ in asked.map(tool) },
            call: { tool, arguments, limit in
                guard let member = byTool[tool.name] else {
                    return ToolResult(.notSent, "There is no agent behind \(tool.name).")
                }
                return await answer(arguments, tool, by: member, within: limit)
            })
        return member.tools + [source]
    }

    private func tool(for member: AgentRoster.Member) -> Tool {
        Tool(
            name: Self.prefix + member.name,
            description: "Asks the agent \(member.name) one question and gives back its answer."
                + (member.description.isEmpty ? "" : " What it is for: \(member.description)"),
            inputSchema: #"""
                {"type":"object","properties":{"question":{"type":"string","description":"All that the agent needs \#
                to know: it has not heard the conversation."}},"required":["question"]}
                """#,
            isReadOnly: isRepeatable(member, below: depth + 1))
    }

    /// An agent without tools that act may be asked the same again after a crash.
    private func isRepeatable(_ member: AgentRoster.Member, below depth: Int) -> Bool {
        guard member.tools.allSatisfy({ $0.name == AgentSkills.sourceName }) else { return false }
        guard depth < Self.maximumDepth else { return true }
        return member.agentTools.compactMap { roster.member($0) }.allSatisfy {
            isRepeatable($0, below: depth + 1)
        }
    }

    private func answer(
        _ arguments: String, _ tool: Tool, by member: AgentRoster.Member, within limit: Duration
    ) async -> ToolResult {
        let question: String
        do throws(CallArguments.Fault) {
            question = try CallArguments.text("question", in: arguments, for: tool)
        } catch {
            return ToolResult(.notSent, error.text)
        }
        let below = AgentTools(
            roster: roster, onInjection: onInjection, logger: logger, depth: depth + 1)
        let toolbox = await Toolbox.gather(
            below.sources(of: member), within: TurnEngine.listingLimit, logger: logger)
        let deadline = ContinuousClock.now + limit
        let user = Message(role: .user, content: question)
        var (steps, usage) = (ToolSteps(), TokenUsage())
        while true {
            let mayCall = steps.rounds < Self.maximumRounds
            let left = max(.milliseconds(1), ContinuousClock.now.duration(to: deadline))
            var prompt = Prompt(instructions: member.instructions, newMessages: [user] + steps.messages)
            prompt.onInjection = onInjection
            prompt.skills = member.skills.inPrompt(activated: steps.activatedSkills, toolbox)
            let conversation = await Conversation.hold(
                Conversation.Call(
                    model: member.model,
                    request: ChatRequest(
                        prompt: prompt, functions: toolbox.functions, choice: mayCall ? .auto : .none,
                        timeout: left),
                    timeout: left, clientLeft: nil, emit: { _ in }, preface: [], callIDs: steps.callIDs))
            let reply = conversation.reply
            usage = usage + reply.usage
            if let failure = conversation.failure {
                return ToolResult(.failed, "\(member.name) gave no answer: \(failure.message)", usage: usage)
            }
            if conversation.ending != .complete {
                // Its question was asked, and nobody waits for the answer any more.
                let outcome: ToolOutcome = tool.isRepeatable ? .notSent : .unknown
                return ToolResult(outcome, "\(member.name) was interrupted.", usage: usage)
            }
            if reply.text.isEmpty, reply.finishReason == .length || reply.finishReason == .contentFilter {
                return ToolResult(
                    .failed, "\(member.name) gave no answer: its reply was cut off.", usage: usage)
            }
            guard mayCall, !toolbox.isEmpty, !reply.toolCalls.isEmpty else {
                return ToolResult(.done, reply.text, usage: usage)
            }
            steps.ask(reply.message)
            for (call, result) in await toolbox.call(steps.open, until: deadline) {
                usage = usage + result.usage
                steps.answer(call, result)
            }
        }
    }
}

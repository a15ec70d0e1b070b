/// The `converse` node: asks the model, carries out the calls that it asks for, and asks it again until it has said all.
import Memory

extension TurnEngine {
    /// What a running turn may reach beside its state.
    struct Surroundings: Sendable {
        let memory: TurnMemory
        let started: ContinuousClock.Instant
        let clientLeft: (@Sendable () async -> Void)?
        let emit: @Sendable ([TurnEvent]) async throws -> Void
    }

    /// Replies of one visit that may ask for tools; then the model must do with what it has.
    static let maximumRounds = 16
    /// Stands behind a reply that another node has given in the same turn: some servers refuse a prompt that ends with an agent's
    /// words, and others let the model finish their last sentence.
    private static let yourTurn = Message(
        role: .user,
        content:
            "Go on: the reply above was another step of this workflow, and now it is your turn to answer.")
    /// A server that doesn't tell its tools in this time is done without.
    static let listingLimit: Duration = .seconds(2)

    /// Goes on with a turn of an earlier attempt: what a person decided is durable before anything follows from it.
    func resume(_ state: inout TurnState, _ around: Surroundings) async {
        if let decisions = state.input.decisions {
            state.steps.decide(decisions)
            state.areRecorded = false
            // From here on it may be that a call which is open was made.
            await keep(&state, around)
        }
    }

    /// - Parameter agent: who answers; nil: whoever has the session.
    func converse(
        _ state: inout TurnState, _ around: Surroundings, as agent: String?, at visit: WorkflowWalk.Visit
    ) async {
        let asked = ContinuousClock.now
        defer {
            state.timings.model = (state.timings.model ?? .zero) + asked.duration(to: .now)
            state.outputs[visit.node.name] = state.reply
        }
        state.untold += state.steps.events(of: visit.mark)
        if let said = state.steps.reply(of: visit.mark) {
            // An earlier attempt has got past it.
            state.hasReplied = true
            state.reply = String(Sentences.trimmed(said))
            return
        }
        state.closeReply()
        if let agent, agent != state.agent, state.steps.calls(of: visit.mark) == nil {
            state.agent = agent
            state.untold.append(.agentChanged(to: agent))
        }
        state.conversationMark = visit.mark
        if state.steps.separateReplies() { state.untold.append(.text(ToolSteps.separator)) }
        repeat {
            guard let agent = roster.member(state.agent) else {
                state.conversation = Conversation(failedWith: .unknownAgent(state.agent))
                if state.isUnanswered { state.failure = state.conversation?.failure }
                return
            }
            let toolbox = await toolbox(of: agent, state)
            repeat {
                if !state.steps.open(of: visit.mark).isEmpty {
                    let calls = ToolCalls(toolbox: toolbox, areRecorded: state.areRecorded)
                    await calls.carryOut(
                        &state, around, within: remaining(around), preface: state.takeUntold(),
                        keep: { await keep(&$0, around) })
                    if state.isToBeStored || state.isUnstorable { return }
                    if state.agent != agent.name { break }
                }
                state.areRecorded = false
                await ask(agent, toolbox, &state, around, at: visit)
                state.reply = state.conversation?.reply.text ?? ""
                guard let reply = state.conversation?.reply, state.conversation?.ending == .complete,
                    !reply.toolCalls.isEmpty
                else { return }
                if reply.toolCalls.allSatisfy({ $0.byClient == true }) {
                    state.asksClient = true
                    return
                }
                guard !toolbox.isEmpty, state.steps.rounds(of: visit.mark) < Self.maximumRounds else {
                    state.conversation?.reply.dropCalls()
                    return
                }
                var message = reply.message
                message.node = visit.mark
                state.steps.ask(message)
                state.usage = state.usage + reply.usage
                state.conversation = nil
                await keep(&state, around)
            } while !state.isUnstorable
        } while !state.isUnstorable
    }

    /// What the agent may call now: hand-offs too, as long as the turn has not been handed around too often.
    private func toolbox(of agent: AgentRoster.Member, _ state: TurnState) async -> Toolbox {
        let mayHandOver = Handoff.count(in: state.steps.messages) < Handoff.maximumInTurn
        let toolbox = await Toolbox.gather(
            AgentTools(roster: roster, onInjection: guards.injection.onMatch, logger: logger, depth: 0)
                .sources(of: agent),
            handoffs: mayHandOver ? roster.handoffs(of: agent) : [], within: Self.listingLimit,
            logger: logger)
        return toolbox.offering(state.input.clientFunctions)
    }

    /// What the client chose holds for the turn's first reply: one that must call something for ever would never come to an end.
    private func choice(_ state: TurnState, at visit: WorkflowWalk.Visit) -> FunctionChoice {
        if state.steps.rounds(of: visit.mark) >= Self.maximumRounds { return .none }
        let choice = state.input.clientFunctions.choice
        let isFirst = !state.hasReplied && state.steps.rounds(of: visit.mark) == 0
        return isFirst && choice != .none ? choice : .auto
    }

    /// Makes the turn durable as far as it got.
    func keep(_ state: inout TurnState, _ around: Surroundings) async {
        do { try await around.memory.keep(state.runningTurn(at: now())) } catch {
            state.isUnstorable = true
            state.failure = TurnFailure(commit: error)
        }
    }

    func remaining(_ around: Surroundings) -> Duration {
        max(.milliseconds(1), turnTimeout - around.started.duration(to: .now))
    }

    private func ask(
        _ agent: AgentRoster.Member, _ toolbox: Toolbox, _ state: inout TurnState, _ around: Surroundings,
        at visit: WorkflowWalk.Visit
    ) async {
        let input = state.input
        let instructions = [agent.instructions, input.instructions ?? ""].filter { !$0.isEmpty }
        var prompt = Prompt(
            instructions: instructions.joined(separator: "\n\n"), rollingSummary: input.rollingSummary,
            context: input.history, recalled: state.recall?.memories ?? [],
            newMessages: input.messages + state.steps.messages
                + (state.steps.endInReply ? [Self.yourTurn] : []))
        prompt.onInjection = guards.injection.onMatch
        prompt.question = input.question
        prompt.skills = agent.skills.inPrompt(
            activated: input.activatedSkills + state.steps.activatedSkills, toolbox)
        let timeout = remaining(around)
        let recorded = state.steps.callIDs
        let emit: @Sendable ([TurnEvent]) async throws -> Void = { events in
            try await around.emit(
                events.marking { !recorded.contains($0.id) && !toolbox.unapproved([$0]).isEmpty })
        }
        var conversation = await Conversation.hold(
            Conversation.Call(
                model: agent.model,
                request: ChatRequest(
                    prompt: prompt,
                    functions: toolbox.functions,
                    choice: choice(state, at: visit),
                    callsInParallel: input.clientFunctions.callsInParallel,
                    sampling: input.overrides,
                    timeout: timeout),
                timeout: timeout, clientLeft: around.clientLeft, emit: emit, preface: state.takeUntold(),
                callIDs: state.takenCallIDs,
                clientFunctions: Set(toolbox.clientFunctions.map(\.name))))
        if state.timings.firstToken == nil {
            state.timings.firstToken = conversation.firstDelta.map { around.started.duration(to: $0) }
        }
        if conversation.reply.reportedUsage == nil, !conversation.reply.isEmpty {
            conversation.reply.estimatedUsage = TokenEstimate.usage(
                prompt: prompt, reply: conversation.reply.text)
        }
        state.conversation = conversation
        state.hasReplied = true
        if state.isUnanswered { state.failure = conversation.failure }
    }
}

extension Conversation {
    /// One that never began.
    init(failedWith failure: TurnFailure) {
        ending = .failed
        self.failure = failure
    }
}

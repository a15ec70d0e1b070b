import Logging
import Memory
import PoolAPI
import Transport

/// Runs turns through the workflow: a thin loop over the graph's nodes, whose decisions are made by values.
///
/// One engine serves all of a worker's turns at the same time. It holds no state of its own between them.
public struct TurnEngine: Sendable {
    /// An agent as clients see it.
    public struct Listing: Sendable, Equatable {
        public var name: String
        public var description: String
        /// The manifest's name of the model it talks to.
        public var model: String
    }

    /// Turns text into vectors as `spec.memory.embeddingModel` says.
    public let embedder: Embedder
    /// The agents in the manifest's order.
    public let agents: [Listing]
    /// The agent that takes a new session's first turn.
    public let entryAgent: String
    /// Chooses among the agents where a turn names none.
    public let router: AgentRouter

    private let workflow: Workflow
    /// What `spec.guard` asks for.
    public let guards: Guards
    let roster: AgentRoster
    /// All that a workflow may call.
    let toolSources: [ToolSource]
    let turnTimeout: Duration
    let logger: Logger
    let now: @Sendable () -> Int64

    /// Builds everything that the manifest names, once. Throws an error that names the field where something
    /// is missing.
    ///
    /// - Parameters:
    ///   - spec: with its defaults filled in.
    ///   - tools: the servers that `spec.mcpServers` names, and the requests of the workflow.
    ///   - skills: the folders that `spec.skills` names.
    ///   - secrets: answers the current value of a Secret's key, nil where there is none. Asked at every call
    ///     of a model.
    ///   - now: milliseconds since 1970.
    public init(
        spec: AgentPoolSpec, tools: [ToolSource] = [], skills: SkillShelf? = nil,
        secrets: @escaping @Sendable (SecretKeyRef) -> String?, http: HTTPClient, logger: Logger,
        now: @escaping @Sendable () -> Int64
    ) throws {
        workflow = try spec.workflow.map(Workflow.init) ?? .standard
        guards = try Guards(spec.guard, http: http, secrets: secrets)
        toolSources = tools.map { [guards] in $0.redacted(by: guards.redaction) }
        roster = try AgentRoster(
            spec, tools: tools, skills: skills ?? SkillShelf(logger: logger), guards: guards,
            secrets: secrets,
            http: http)
        embedder = try Embedder(spec, secrets: secrets, http: http)
        agents = spec.agents.map { Listing(name: $0.name, description: $0.description, model: $0.model) }
        entryAgent = spec.entryAgent
        let routing = try spec.routing.embeddingModel.map { name in
            try Embedder(
                spec, model: name, field: "spec.routing.embeddingModel", secrets: secrets, http: http)
        }
        router = try AgentRouter(spec, embedder: routing, logger: logger)
        turnTimeout = spec.concurrency.turnTimeout.duration
        self.logger = logger
        self.now = now
    }

    /// Writes the memory of a batch with the model of the agent that it belongs to. Throws `SummaryFailure`.
    public var summarizer: Summarizer {
        let (roster, guards) = (roster, guards)
        return { request in
            guard let member = roster.summarizing(request.agent) else {
                throw SummaryFailure.permanent("the pool has no agent \(request.agent)")
            }
            return try await member.model.summarize(guards.shown(request))
        }
    }

    /// Runs one turn to its end, its summary included. Returns when nothing of it runs any more.
    ///
    /// To stop a turn let `clientLeft` return: what was generated is then committed, marked cancelled.
    /// Cancelling the calling task stops the reply too, but reaches the commit as well, which may then fail.
    ///
    /// - Parameters:
    ///   - clientLeft: returns when the client is gone, or at once when its task is cancelled; nil for turns
    ///     that run on without.
    ///   - stepped: told of each node that has run.
    ///   - emit: called with the events that arrived together, one call at a time. May suspend while the
    ///     client reads slowly, obeys cancellation, and throws when the client is gone.
    public func run(
        _ input: TurnInput, memory: TurnMemory, clientLeft: (@Sendable () async -> Void)?,
        stepped: @Sendable (WorkflowStep) -> Void = { _ in },
        emit: @escaping @Sendable ([TurnEvent]) async throws -> Void
    ) async {
        let emit = guards.telling(emit)
        var state = TurnState(input: input, startedAt: now())
        let around = Surroundings(memory: memory, started: .now, clientLeft: clientLeft, emit: emit)
        await resume(&state, around)
        var walk = WorkflowWalk(workflow)
        var isSettled = false
        while let visit = walk.next(state) {
            if walk.visits == Workflow.maximumVisits, visit.node.kind != .commit, state.outcome == nil {
                state.end(with: .endlessWorkflow)
                continue
            }
            state.untold.append(.step(name: visit.node.name, kind: visit.node.kind))
            let began = ContinuousClock.now
            await perform(visit, &state, around)
            stepped(
                WorkflowStep(
                    name: visit.node.name, kind: visit.node.kind, duration: began.duration(to: .now)))
            if !isSettled, state.outcome != nil || state.failure != nil {
                isSettled = true
                await settle(&state, around)
            }
        }
        if !isSettled { await settle(&state, around) }
    }
}

extension TurnEngine {
    private func perform(
        _ visit: WorkflowWalk.Visit, _ state: inout TurnState, _ around: Surroundings
    ) async {
        switch visit.node.work {
        case .inputGuard: state.untold += await judge(&state)
        case .recall:
            await recall(&state, around.memory)
            if let recall = state.recall { state.untold.append(.recalled(recall)) }
        case .converse(let agent): await converse(&state, around, as: agent, at: visit)
        case .calls(let calls, let recalls):
            await make(calls, recalls: recalls, &state, around, at: visit)
        case .condition(let condition):
            state.isMatched = condition.holds(state)
            state.outputs[visit.node.name] = "\(state.isMatched)"
        case .commit: await commit(&state, around.memory)
        case .summarize:
            if let plan = state.outcome?.plan { await around.memory.archive(plan) }
        }
    }

    /// Tells how the turn ended.
    private func settle(_ state: inout TurnState, _ around: Surroundings) async {
        log(state)
        do {
            try await around.emit(state.takeUntold() + state.finalEvents)
        } catch {
            // The client is gone; the turn is what it is, and the workflow goes on to archive it.
        }
    }

    private func recall(_ state: inout TurnState, _ memory: TurnMemory) async {
        let asked = ContinuousClock.now
        state.recall = await memory.recall(state.recallQuery)
        state.timings.recall = asked.duration(to: .now)
    }

    private func commit(_ state: inout TurnState, _ memory: TurnMemory) async {
        let asked = ContinuousClock.now
        do {
            let turn = state.turn(finishedAt: now())
            let outcome = try await memory.commit(turn)
            state.outcome = outcome
            // Somebody else answered the same turn meanwhile, in other words: what this client was shown is stored nowhere.
            let stored = outcome.stored.turn
            let isOther =
                outcome.duplicate && stored.ending == .complete && stored.messages != turn.messages
            state.failure = isOther ? .answeredElsewhere : state.conversation?.failure
        } catch {
            state.failure = TurnFailure(commit: error)
        }
        state.timings.commit = asked.duration(to: .now)
    }

    private func log(_ state: TurnState) {
        guard let failure = state.failure, failure.kind != .refused, failure.kind != .cancelled else {
            return
        }
        logger.warning(
            "Turn failed",
            metadata: [
                "agent": "\(state.input.agent)", "turn": "\(state.input.turnID)", "code": "\(failure.code)",
                "reason": "\(failure.message)",
            ])
    }
}

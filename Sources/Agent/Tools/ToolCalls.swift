/// Carries out the calls that a model asked for, side by side, each of them durable before it is made and after it.
import Memory

struct ToolCalls: Sendable {
    let toolbox: Toolbox
    /// They are another attempt's: whether they took effect is not known.
    var areRecorded: Bool

    /// Calls of one turn at the same time.
    static let maximumAtOnce = 8
    private static let unknown = ToolResult(.unknown, ToolSteps.unknownText)

    /// Makes the turn durable as far as it got, or says in its state that it can't.
    typealias Keep = @Sendable (inout TurnState) async -> Void

    private enum News: Sendable {
        case result(ToolCall, ToolResult)
        case progress(CallProgress.Report)
        case clientLeft
        /// Nothing, for the task was cancelled.
        case none
    }

    /// Answers every open call, but where some wait for a person: then these stay open, and the hand-offs. Those of the client's own
    /// functions stay open where nothing else keeps the turn from ending with them. A client that leaves ends those that are under way;
    /// the turn is cancelled then.
    ///
    /// - Parameter limit: what is left of the turn's time.
    func carryOut(
        _ state: inout TurnState, _ around: TurnEngine.Surroundings, within limit: Duration,
        preface: [TurnEvent], keep: Keep
    ) async {
        let unapproved = toolbox.unapproved(state.steps.open)
        let preface = preface.marking(unapproved.contains)
        // Whatever the client's side throws means that nobody reads any more.
        if !preface.isEmpty, (try? await around.emit(preface)) == nil { return cancel(&state) }
        // Whoever takes over does so with the answers that its predecessor asked for.
        let handoffs = state.steps.open.filter { toolbox.offer($0.name)?.handoff != nil }
        let clients = state.steps.open.filter { $0.byClient == true }
        var waiting = state.steps.open.filter {
            !handoffs.contains($0) && !unapproved.contains($0) && !clients.contains($0)
        }[...]
        await withTaskGroup(of: News.self) { group in
            if let clientLeft = around.clientLeft {
                group.addTask {
                    await clientLeft()
                    return .clientLeft
                }
            }
            var running: [ToolCall] = []
            let progress = CallProgress(left: state.progressLeft)
            defer { state.progressLeft = progress.left }
            func start() {
                while running.count < Self.maximumAtOnce, let call = waiting.popFirst() {
                    running.append(call)
                    group.addTask {
                        .result(
                            call,
                            await self.result(of: call, within: limit) { progress.report($0, of: call) })
                    }
                }
            }
            func awaitProgress() {
                group.addTask { await progress.next().map { .progress($0) } ?? .none }
            }
            start()
            awaitProgress()
            while !running.isEmpty, let news = await group.next() {
                switch news {
                case .clientLeft:
                    cancel(&state)
                    waiting = []
                    group.cancelAll()
                case .none: break
                case .progress(let report):
                    // What is known of a call that has ended is its result.
                    if running.contains(report.call) { await tell(report, &state, around) }
                    if state.conversation?.ending == .cancelled {
                        waiting = []
                        group.cancelAll()
                    } else {
                        awaitProgress()
                    }
                case .result(let call, let result):
                    if let place = running.firstIndex(of: call) { running.remove(at: place) }
                    await take(result, of: call, &state, around, keep: keep)
                    if state.isUnstorable || state.conversation?.ending == .cancelled {
                        waiting = []
                        group.cancelAll()
                    }
                    start()
                }
            }
            group.cancelAll()
        }
        if !state.isUnstorable, state.conversation?.ending != .cancelled {
            if !clients.isEmpty, unapproved.isEmpty, handoffs.isEmpty {
                state.asksClient = true
                return
            }
            for call in clients {
                let kept = state.steps.answer(call, unapproved.isEmpty ? .handedOver : .besideApproval)
                state.untold += [.toolCall(call), .toolResult(id: call.id, name: call.name, kept)]
            }
            if !unapproved.isEmpty {
                for call in unapproved { state.steps.mark(call, .awaited) }
                state.isWaiting = true
                return
            }
        }
        await handOver(handoffs, &state, around, keep: keep)
        let unmade = ToolResult(.notSent, "This call was not made: the turn was cancelled.")
        for call in state.steps.open {
            // Without an approval no attempt can have made it.
            let mayBeMade = areRecorded && !unapproved.contains(call) && !clients.contains(call)
            state.steps.answer(call, mayBeMade ? Self.unknown : unmade)
        }
    }

    /// The first of the hand-offs counts.
    private func handOver(
        _ calls: [ToolCall], _ state: inout TurnState, _ around: TurnEngine.Surroundings,
        keep: Keep
    ) async {
        var taken: Handoff?
        for call in calls where !state.isUnstorable && state.conversation?.ending != .cancelled {
            guard let handoff = toolbox.offer(call.name)?.handoff else { continue }
            if let taken {
                await take(Handoff.late(after: taken.agent), of: call, &state, around, keep: keep)
                continue
            }
            taken = handoff
            state.agent = handoff.agent
            await take(
                handoff.result, of: call, &state, around, keep: keep,
                then: .agentChanged(to: handoff.agent))
        }
    }

    private func tell(
        _ report: CallProgress.Report, _ state: inout TurnState, _ around: TurnEngine.Surroundings
    ) async {
        let event = TurnEvent.toolProgress(id: report.call.id, name: report.call.name, report.progress)
        // Whatever the client's side throws means that nobody reads any more.
        if (try? await around.emit([event])) == nil { cancel(&state) }
    }

    private func result(
        of call: ToolCall, within limit: Duration, progress: @escaping @Sendable (ToolProgress) -> Void
    ) async -> ToolResult {
        if areRecorded, toolbox.offer(call.name)?.tool.isRepeatable != true {
            return Self.unknown
        }
        return await toolbox.call(call, within: limit, progress: progress)
    }

    private func take(
        _ result: ToolResult, of call: ToolCall, _ state: inout TurnState, _ around: TurnEngine.Surroundings,
        keep: Keep, then more: TurnEvent? = nil
    ) async {
        let kept = state.steps.answer(call, result)
        state.usage = state.usage + result.usage
        let isCut = state.conversation?.ending == .cancelled && result.outcome == .unknown
        // What was cut off with the turn is for whoever goes on with it to judge.
        guard !state.isUnstorable, !isCut else { return }
        await keep(&state)
        guard !state.isUnstorable, state.conversation?.ending != .cancelled else { return }
        let events = [TurnEvent.toolResult(id: call.id, name: call.name, kept)] + (more.map { [$0] } ?? [])
        // As above: the client is gone.
        if (try? await around.emit(events)) == nil { cancel(&state) }
    }

    /// Nobody reads the reply any more.
    private func cancel(_ state: inout TurnState) {
        var conversation = Conversation()
        conversation.ending = .cancelled
        state.conversation = conversation
    }
}

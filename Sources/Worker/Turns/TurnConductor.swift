/// Takes one turn from its request to its end: admitted, its session opened, known turns replayed, the workflow run.
import Agent
import Memory

/// Another worker has the session, or has just taken it.
struct SessionElsewhere: Error {
    var live: LiveSession
}

struct TurnConductor: Sendable {
    /// How long an SDK may take to send a lost request again.
    static let retryWindowMilliseconds: Int64 = 600_000
    /// Turns before the context in which the question is looked for that a client brings answers to.
    private static let lookBack = 100

    let memory: SessionMemory
    let engine: TurnEngine
    /// The pool's own name: as a model's name it means whichever agent fits.
    let poolAlias: String
    let admission: Admission
    let archives: ArchiveGate
    let feeds: SessionFeeds
    let journal: TurnJournal
    /// The worker's time is over.
    let cut: OnceSignal
    let metrics: TurnMetrics
    let now: @Sendable () -> Int64

    /// Runs one turn to its end, summary included. `emit` gets `.committed` or `.failed` last, once, after the session and
    /// the slot are free again.
    ///
    /// - Parameters:
    ///   - others: workers to which the session is left where one of them has it.
    ///   - clientLeft: returns when nobody reads any more, or the worker's time is over; such a turn stops. What there is of it
    ///     is kept, but for one that another worker can go on with.
    /// - Throws: `APIError`, `DecisionFault`, `ClientLeft` or `SessionElsewhere` before `opened` was called, and only then.
    func conduct(
        _ order: TurnOrder, scope: Scope, others: [String], clientLeft: @escaping @Sendable () async -> Void,
        opened: @Sendable (TurnOpening) async -> Void,
        emit: @escaping @Sendable ([TurnEvent]) async throws -> Void
    ) async throws {
        var order = order.redacted(by: engine.guards.redaction)
        if admission.isFull, let live = await elsewhere(scope, others) { throw SessionElsewhere(live: live) }
        let slot = try await admit(clientLeft)
        defer { slot.end() }
        let held: HeldSession
        do { held = try await memory.open(scope, others: others) } catch {
            if case .elsewhere(let live) = error { throw SessionElsewhere(live: live) }
            throw APIError(error)
        }
        defer { held.end() }

        var known: StoredTurn?
        do { known = try await knownTurn(order, held) } catch { throw APIError(error) }
        let view = held.view
        let active = engine.agents.first { $0.name == view.activeAgent }?.name
        var route: AgentRouter.Route?
        // Whoever called a client's functions hears what came of it.
        let caller = order.asker(in: view.context)
        let asker = caller.flatMap { name in engine.agents.first { $0.name == name }?.name }
        if known == nil, order.agent == nil, asker == nil {
            let question = order.isAnswer ? order.question(engine.guards.redaction) : nil
            route = await engine.router.route(
                order.new + (question.map { [$0] } ?? []), active: active, fallback: engine.entryAgent)
        }
        let agent =
            known?.turn.agent ?? asker ?? order.agent ?? route?.agent ?? active ?? engine.entryAgent
        let turnID = known?.turn.id ?? order.turnID ?? .mint()
        var opening = TurnOpening(
            turn: turnID, agent: agent, route: route, tier: held.tier,
            attempt: attempt(of: turnID, order, held, known),
            isRestart: order.lastSeen?.turn == turnID || held.live.unfinishedTurn == turnID
                || known?.turn.ending.isOver == false,
            ownerBefore: held.live.owner)

        if known?.turn.ending != .complete, opening.isRestart, opening.ownerBefore != nil {
            try await takeSession(opening, order, scope)
            // From here on its owner before can add nothing to it: what it did until then is what counts.
            do { known = try await held.storedTurn(turnID) ?? known } catch { throw APIError(error) }
        }
        if let decisions = order.decisions {
            guard let turn = known?.turn else { throw DecisionFault.unknownTurn(turnID) }
            opening.part = try turn.pause(decidedBy: decisions) + 1
            // What was decided before stays: the turn goes on, or is told again.
            if turn.ending != .waiting || opening.part < turn.pauses.count { order.decisions = nil }
        }
        let isWaiting = known?.turn.ending == .waiting
        if let known, known.turn.ending == .complete || isWaiting && order.decisions == nil {
            // It may have been read before its replicas had it. To commit it again stores nothing, and waits for them.
            do { _ = try await held.commit(known.turn) } catch { throw APIError(error) }
            opening.known = known
            opening.isRestart = order.lastSeen?.turn == turnID
            await opened(opening)
            held.end()
            slot.end()
            metrics.replayed()
            // A reader that has gone needs no replay.
            try? await emit(TurnEvent.replay(known))
            return
        }
        let ownership = journal.ownership(after: opening.ownerBefore)
        if let last = view.context.last?.turn, last.ending == .waiting, last.id != turnID {
            // Whoever says something else does not approve. What can't be taken is not said.
            _ = try await input(order, opening, held, known)
            do { _ = try await held.commit(last.refusingApproval(at: now()), ownership: ownership) } catch {
                throw APIError(error)
            }
        }
        let (input, fork) = try await input(order, opening, held, known)
        opening.forkedAfter = fork
        let contextStart = view.contextStart
        let turnMemory = TurnMemory(
            recall: { [memory] text in
                await memory.recall(RecallQuery(scope: scope, text: text, contextStart: contextStart))
            },
            commit: { [order] turn in
                // What another worker will tell anew must not stand in the history as far as it got here.
                if turn.ending != .complete, isLeftToOthers(order) { throw MemoryError.closed }
                var turn = turn
                turn.forkedAfter = fork
                return try await held.commit(turn, ownership: turn.inputCount == nil ? nil : ownership)
            },
            keep: { turn in
                var turn = turn
                turn.forkedAfter = fork
                _ = try await held.commit(turn, ownership: ownership)
            },
            archive: { [archives] plan in await archives.archive(plan) })

        if !opening.isRestart || opening.ownerBefore == nil { begin(opening, order, scope) }
        await opened(opening)
        let started = ContinuousClock.now
        await engine.run(
            input, memory: turnMemory, clientLeft: clientLeft, stepped: { [metrics] in metrics.stepped($0) }
        ) { [metrics, cut] events in
            for event in events { metrics.told(event) }
            guard let last = events.last, last.endsTurn else { return try await emit(events) }
            for event in events { metrics.ended(with: event, after: started.duration(to: .now)) }
            held.end()
            slot.end()
            let isCut = cut.isSet && !last.isWhole
            // A reply that broke off is durable as far as it got, but its client must not take it for whole.
            if case .failed = last {
                let told = events.filter { if case .committed = $0 { false } else { true } }
                try await emit(isCut ? told.dropLast() + [.failed(.workerEnded)] : told)
            } else {
                try await emit(isCut ? events.dropLast() + [.failed(.workerEnded)] : events)
            }
        }
        await archives.warm(scope)
    }

    /// Whose the session is, where it is another's: such a turn must not wait for a slot here.
    private func elsewhere(_ scope: Scope, _ others: [String]) async -> LiveSession? {
        guard !others.isEmpty, !memory.isResident(scope),
            let live = await journal.session(scope), let owner = live.owner, others.contains(owner)
        else { return nil }
        return live
    }

    /// The turn was cut because this worker ends, and L2 has what another one needs to run it again.
    func isLeftToOthers(_ order: TurnOrder) -> Bool {
        cut.isSet && order.request != nil && journal.isShared
    }

    /// Later than every attempt that anybody was told of.
    private func attempt(
        of turn: TurnID, _ order: TurnOrder, _ held: HeldSession, _ known: StoredTurn?
    ) -> Int {
        let seen = order.lastSeen.flatMap { $0.turn == turn ? $0.attempt : nil } ?? 0
        let told = held.live.turn == turn ? held.live.attempt : 0
        // Without Redis a process that is gone has left its turns, and not how often it had tried.
        let begun = known.map { $0.turn.ending == .complete ? 0 : 1 } ?? 0
        return max(seen, told, begun, feeds.lastAttempt(of: turn, held.scope.session) ?? 0) + 1
    }

    /// What the turn starts from: its messages and the history before them, or where an earlier attempt had got to.
    private func input(
        _ order: TurnOrder, _ opening: TurnOpening, _ held: HeldSession, _ known: StoredTurn?
    ) async throws(APIError) -> (TurnInput, fork: Int?) {
        let view = held.view
        // An unfinished try of the same turn is no part of the conversation that leads to it.
        let context = view.context.filter { $0.turn.id != opening.turn }
        let turnCount =
            known.map { $0.sequence == view.turnCount } == true ? view.turnCount - 1 : view.turnCount
        var fit: HistoryReconciliation
        if let turn = order.after {
            guard let following = HistoryReconciliation.following(turn, in: context, turnCount: turnCount)
            else { throw await missing(turn, held) }
            fit = following
        } else {
            let visible = HistoryReconciliation.visible(context)
            let prior = engine.guards.redaction.redacted(order.prior, except: visible)
            fit = .of(prior: prior, context: visible, turnCount: turnCount)
        }
        if order.new.first?.role == .tool {
            fit = fit.answering(
                order.new, visible: HistoryReconciliation.visible(context, from: fit.forkedAfter))
        }
        let messages: [Message]
        var fork = fit.forkedAfter
        let history: [StoredTurn]
        let steps = Array(known?.turn.steps ?? [])
        if !steps.isEmpty, let turn = known?.turn {
            messages = turn.messages.dropLast(steps.count)
            fork = turn.forkedAfter
            history = HistoryReconciliation.visible(context, from: fork)
        } else {
            history = HistoryReconciliation.visible(context, from: fork)
            do throws(ClientAnswers.Fault) {
                messages =
                    try fit.carried
                    + ClientAnswers.named(
                        order.new, carried: fit.carried, after: history)
            } catch { throw APIError(error, field: order.field) }
        }
        let input = TurnInput(
            turnID: opening.turn, sessionID: held.scope.sessionID, agent: opening.agent, messages: messages,
            steps: steps, decisions: known?.turn.ending == .waiting ? order.decisions : nil,
            history: history,
            question: order.isAnswer ? await question(order, history, view.contextStart, held.scope) : nil,
            rollingSummary: view.rollingSummary, activatedSkills: view.activatedSkills,
            instructions: order.instructions,
            overrides: order.overrides,
            clientFunctions: order.functions(after: known?.turn),
            requestDigest: order.digest ?? known?.turn.requestDigest)
        return (input, fork)
    }

    /// What answers of a client's functions are about. A loop of calls may have more turns than are in sight.
    private func question(
        _ order: TurnOrder, _ history: [StoredTurn], _ contextStart: Int, _ scope: Scope
    ) async -> Message? {
        if let question = history.lastQuestion ?? order.question(engine.guards.redaction) { return question }
        guard contextStart > 1 else { return nil }
        let first = max(0, contextStart - 1 - Self.lookBack)
        // Without it the turn has what the rolling summary says.
        return (try? await memory.history(scope, after: first, limit: contextStart - 1 - first))?.lastQuestion
    }

    /// Why a turn can't go on after that one.
    private func missing(_ turn: TurnID, _ held: HeldSession) async -> APIError {
        do throws(MemoryError) {
            return try await held.knownTurn(turn) == nil
                ? .previousResponseUnknown : .previousResponseTooOld(firstTurn: held.view.contextStart)
        } catch { return APIError(error) }
    }

    /// Makes it known whose the session is, without waiting for that.
    private func begin(_ opening: TurnOpening, _ order: TurnOrder, _ scope: Scope) {
        if let start = JournalQueue.TurnStart(opening, order) {
            journal.begin(start, of: scope, from: opening.ownerBefore)
        } else {
            journal.claim(scope, from: opening.ownerBefore)
        }
    }

    /// The same where several workers may be about to restart the turn: only one of them has the session.
    private func takeSession(_ opening: TurnOpening, _ order: TurnOrder, _ scope: Scope) async throws {
        let start = JournalQueue.TurnStart(opening, order)
        if let owner = await journal.take(start, of: scope, from: opening.ownerBefore) {
            throw SessionElsewhere(live: LiveSession(owner: owner, turn: opening.turn))
        }
    }

    private func knownTurn(_ order: TurnOrder, _ held: HeldSession) async throws(MemoryError) -> StoredTurn? {
        if let id = order.turnID { return try await held.knownTurn(id) }
        guard order.isRetry, let digest = order.digest else { return nil }
        return try await held.knownTurn(digest: digest, since: now() - Self.retryWindowMilliseconds)
    }

    /// Waits for a slot no longer than the client does.
    private func admit(_ clientLeft: @escaping @Sendable () async -> Void) async throws -> Admission.Slot {
        switch try admission.enterOrQueue() {
        case .admitted(let slot): return slot
        case .queued(let ticket):
            return try await withThrowingTaskGroup(of: Admission.Slot?.self) { group in
                group.addTask { try await admission.wait(ticket) }
                group.addTask {
                    await clientLeft()
                    return nil
                }
                defer { group.cancelAll() }
                guard let slot = try await group.next() ?? nil else {
                    group.cancelAll()
                    // The ticket may have been called in the meantime: then its slot is given back.
                    while let late = try? await group.next() { late?.end() }
                    throw ClientLeft()
                }
                return slot
            }
        }
    }
}

extension [StoredTurn] {
    fileprivate var lastQuestion: Message? {
        lazy.reversed().compactMap { $0.turn.messages.last { $0.role == .user } }.first
    }
}

extension JournalQueue.TurnStart {
    /// Nil for a turn that ends with its client.
    fileprivate init?(_ opening: TurnOpening, _ order: TurnOrder) {
        guard let request = order.request else { return nil }
        self.init(id: opening.turn, attempt: opening.attempt, request: request)
    }
}

extension TurnEvent {
    var endsTurn: Bool {
        switch self {
        case .committed, .failed: true
        default: false
        }
    }

    /// The turn's reply is all that the model wanted to say.
    fileprivate var isWhole: Bool {
        if case .committed(let report) = self { return report.turn.ending == .complete }
        return false
    }
}

extension TurnFailure {
    fileprivate static let workerEnded = TurnFailure(
        kind: .cancelled, message: APIError.workerEnded.message, status: 503, code: APIError.workerEnded.code,
        isRetryable: true)
}

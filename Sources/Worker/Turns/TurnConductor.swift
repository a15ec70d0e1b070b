/// Takes one turn from its request to its end: admitted, its session opened, known turns replayed, the workflow run.
import Agent
import Memory
import Synchronization

/// What a request asks of the agents, whatever API it came by.
struct TurnOrder: Sendable {
    /// `nil`: whoever spoke last in the session, or the pool's entry agent.
    var agent: String?
    /// What the client believes has been said so far; empty where it leaves the history to us.
    var prior: [Message] = []
    var new: [Message]
    /// The client's own system message, for this turn only.
    var instructions: String?
    var overrides = SamplingOverrides()
    /// Chosen by the client; minted where it chose none.
    var turnID: TurnID?
    /// Of the request's body, so that a retry without an id can be told.
    var digest: String?
    /// The client says that it has sent this before.
    var isRetry = false
}

/// What is known when a turn begins: the response's head is made of it.
struct TurnOpening: Sendable {
    var turn: TurnID
    var agent: String
    var tier: MemoryTier
    /// The sequence that the turn continues from, where that is not the history's end.
    var forkedAfter: Int?
}

struct TurnConductor: Sendable {
    /// How long an SDK may take to send a lost request again.
    static let retryWindowMilliseconds: Int64 = 600_000

    let memory: SessionMemory
    let engine: TurnEngine
    /// The pool's own name: as a model's name it means whichever agent fits.
    let poolAlias: String
    let admission: Admission
    let archives: ArchiveGate
    let metrics: TurnMetrics
    let now: @Sendable () -> Int64

    /// Runs one turn to its end, summary included. `emit` gets `.committed` or `.failed` last, once, after the session and
    /// the slot are free again.
    ///
    /// - Parameter clientLeft: returns when nobody reads any more; such a turn stops and is kept as far as it got.
    ///   `nil` for turns that run on.
    /// - Throws: `APIError` or `ClientLeft` before `opened` was called, and only then.
    func conduct(
        _ order: TurnOrder, scope: Scope, clientLeft: (@Sendable () async -> Void)?,
        opened: @Sendable (TurnOpening) async -> Void,
        emit: @escaping @Sendable ([TurnEvent]) async throws -> Void
    ) async throws {
        let slot = try await admit(clientLeft)
        defer { slot.end() }
        let held: HeldSession
        do { held = try await memory.open(scope) } catch { throw APIError(error) }
        defer { held.end() }

        let known: StoredTurn?
        do { known = try await knownTurn(order, held) } catch { throw APIError(error) }
        let view = held.view
        let agent =
            known?.turn.agent ?? order.agent
            ?? engine.agents.first { $0.name == view.activeAgent }?.name ?? engine.entryAgent
        let turnID = known?.turn.id ?? order.turnID ?? .mint()

        if let known, known.turn.ending == .complete {
            // It may have been read before its replicas had it. To commit it again stores nothing, and waits for them.
            do { _ = try await held.commit(known.turn) } catch { throw APIError(error) }
            await opened(TurnOpening(turn: turnID, agent: agent, tier: held.tier))
            held.end()
            slot.end()
            metrics.replayed()
            // A reader that has gone needs no replay.
            try? await emit(TurnEvent.replay(known))
            return
        }

        // An unfinished try of the same turn is no part of the conversation that leads to it.
        let context = view.context.filter { $0.turn.id != turnID }
        let turnCount =
            known.map { $0.sequence == view.turnCount } == true ? view.turnCount - 1 : view.turnCount
        let visible = HistoryReconciliation.visible(context)
        let fit = HistoryReconciliation.of(prior: order.prior, context: visible, turnCount: turnCount)
        let input = TurnInput(
            turnID: turnID, sessionID: scope.sessionID, agent: agent, messages: fit.carried + order.new,
            history: HistoryReconciliation.visible(context, from: fit.forkedAfter),
            rollingSummary: view.rollingSummary, instructions: order.instructions,
            overrides: order.overrides, requestDigest: order.digest)
        let (forkedAfter, contextStart) = (fit.forkedAfter, view.contextStart)
        let turnMemory = TurnMemory(
            recall: { [memory] text in
                await memory.recall(RecallQuery(scope: scope, text: text, contextStart: contextStart))
            },
            commit: { turn in
                var turn = turn
                turn.forkedAfter = forkedAfter
                return try await held.commit(turn)
            },
            archive: { [archives] plan in await archives.archive(plan) })

        await opened(
            TurnOpening(turn: turnID, agent: agent, tier: held.tier, forkedAfter: fit.forkedAfter))
        let started = ContinuousClock.now
        await engine.run(input, memory: turnMemory, clientLeft: clientLeft) { [metrics] events in
            guard let last = events.last, last.endsTurn else { return try await emit(events) }
            for event in events { metrics.ended(with: event, after: started.duration(to: .now)) }
            held.end()
            slot.end()
            // A reply that broke off is durable as far as it got, but its client must not take it for whole.
            if case .failed = last {
                try await emit(events.filter { if case .committed = $0 { false } else { true } })
            } else {
                try await emit(events)
            }
        }
        await archives.warm(scope)
    }

    private func knownTurn(_ order: TurnOrder, _ held: HeldSession) async throws(MemoryError) -> StoredTurn? {
        if let id = order.turnID { return try await held.knownTurn(id) }
        guard order.isRetry, let digest = order.digest else { return nil }
        return try await held.knownTurn(digest: digest, since: now() - Self.retryWindowMilliseconds)
    }

    /// Waits for a slot no longer than the client does.
    private func admit(_ clientLeft: (@Sendable () async -> Void)?) async throws -> Admission.Slot {
        switch try admission.enterOrQueue() {
        case .admitted(let slot): return slot
        case .queued(let ticket):
            guard let clientLeft else { return try await admission.wait(ticket) }
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

/// Bounds how much is done at once right after turns. A batch that doesn't get in is durable as a plan, and the next pass of
/// maintenance takes it; memories that don't get into L1 do so after another turn.
final class ArchiveGate: Sendable {
    private let memory: SessionMemory
    private let summarizer: Summarizer
    private let free: Mutex<Int>

    init(memory: SessionMemory, summarizer: @escaping Summarizer, limit: Int) {
        self.memory = memory
        self.summarizer = summarizer
        free = Mutex(limit)
    }

    func archive(_ plan: ArchivePlan) async {
        await enter { [memory, summarizer] in await memory.archive(plan, summarize: summarizer) }
    }

    func warm(_ scope: Scope) async {
        await enter { [memory] in await memory.warm(scope) }
    }

    private func enter(_ work: @Sendable () async -> Void) async {
        let entered = free.withLock { free in
            guard free > 0 else { return false }
            free -= 1
            return true
        }
        guard entered else { return }
        defer { free.withLock { $0 += 1 } }
        await work()
    }
}

extension TurnEvent {
    var endsTurn: Bool {
        switch self {
        case .committed, .failed: true
        default: false
        }
    }
}

/// `GET /v1/sessions/{id}/events`: a session's events for as long as the client likes, and what it missed of a turn.
import Agent
import Memory
import NIOCore
import NIOHTTP1

extension PublicAPI {
    /// How long a client that comes back waits for the lease of a worker that is gone.
    private static var patience: Duration { PeerDirectory.patience + .seconds(5) }

    func events(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ id: String, _ origin: RequestOrigin
    ) async throws {
        let session = try SessionID(id, param: "session id")
        let scope = try scope(caller, request, session: session)
        // An id of some other source says nothing of these events.
        let last = request.head.headers.first(name: "last-event-id").flatMap { EventID($0) }
        let isRunning = feeds.running(scope.session) != nil
        if relay == nil || isRunning, let last, feeds.canContinue(after: last, scope.session) {
            return follow(scope, request.exchange, from: .after(last), seen: nil)
        }
        if conductor.admission.counts.isDraining, !isRunning {
            return try await place(request, caller, session, turn: nil, origin) { _ in throw APIError.draining
            }
        }
        if let last { return try await resume(request, caller, session, scope, after: last, origin) }
        let owner = isRunning ? nil : await owner(of: scope)
        if let owner, origin == .client, relay?.peers.lease(of: owner) == .alive,
            case .answered = await relay?.forward(request, caller, session: session, to: owner)
        {
            return
        }
        follow(scope, request.exchange, from: .nothing, seen: owner)
    }

    /// The worker that has the session, where it is another one.
    func owner(of scope: Scope) async -> String? {
        guard let relay,
            // Where L2 doesn't answer, this worker is as good as any.
            let owner = try? await relay.peers.live.session(scope).owner, owner != relay.peers.own
        else { return nil }
        return owner
    }

    /// - Parameter seen: the session's owner, where it is one that is gone.
    private func follow(
        _ scope: Scope, _ exchange: Exchange, from beginning: SessionFeeds.Beginning, seen: String?
    ) {
        let feeds = feeds
        // Whoever gets the session's next turn is to know where it is followed.
        journal.claim(scope, from: seen)
        exchange.becomeEventStream(.eventStream([])) { loop in
            EventStreamHandler(loop: loop, feeds: feeds, scope: scope, from: beginning)
        }
    }

    private func resume(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ session: SessionID, _ scope: Scope,
        after last: EventID, _ origin: RequestOrigin
    ) async throws {
        guard let relay else {
            return try await retell(last, scope, attempt: last.attempt + 1, request, seen: nil)
        }
        let deadline = ContinuousClock.now + Self.patience
        var isReachable = origin == .client
        while true {
            let log: LiveTurnLog
            do { log = try await relay.peers.live.turn(of: scope) } catch {
                throw APIError(.storeUnavailable("\(error)"))
            }
            let owner = log.session.owner
            if owner == relay.peers.own, feeds.canContinue(after: last, scope.session) {
                return follow(scope, request.exchange, from: .after(last), seen: nil)
            }
            switch Resumption.decide(
                after: last, log: log, lease: owner.map { relay.peers.lease(of: $0) } ?? .ended,
                own: relay.peers.own, isReachable: isReachable)
            {
            case .relay(let owner):
                if case .answered = await relay.forward(request, caller, session: session, to: owner) {
                    return
                }
                isReachable = false
            case .wait:
                guard .now < deadline else {
                    throw APIError.overloaded(
                        "The worker that has this session does not answer; come again.")
                }
                try await Task.sleep(for: .milliseconds(200))
            case .follow(let missed):
                return follow(scope, request.exchange, from: .missed(missed), seen: owner)
            case .restart(let body):
                return try await restart(last, body, session, scope, request, caller, origin)
            case .retell(let attempt):
                return try await retell(last, scope, attempt: attempt, request, seen: owner)
            }
        }
    }

    /// Runs the turn again from what it was asked with, for whoever follows the session.
    private func restart(
        _ last: EventID, _ body: [UInt8], _ session: SessionID, _ scope: Scope, _ request: ServerRequest,
        _ caller: Credentials.Caller, _ origin: RequestOrigin
    ) async throws {
        var order = try keptOrder(body)
        order.turnID = last.turn
        order.lastSeen = last
        let writer = NativeTurnWriter(
            answering: .follower(request.exchange), session: session, scope: scope, feeds: feeds,
            journal: journal)
        try await place(request, caller, session, turn: last.turn, origin) { [order] others in
            try await run(order, scope, others, writer)
        }
    }

    /// What a worker kept of a turn is the request that began it, or the decision with which it went on.
    private func keptOrder(_ body: [UInt8]) throws(APIError) -> TurnOrder {
        // Neither has all that the other requires: what is no decision is a turn.
        if let approvals = try? ApprovalsRequest.parse(body) { return approvals.order(body) }
        return try order(NativeTurnRequest.parse(body), body)
    }

    /// Tells a turn from the history; where it is not there either, that it has to be sent again.
    private func retell(
        _ last: EventID, _ scope: Scope, attempt: Int, _ request: ServerRequest, seen: String?
    ) async throws {
        var encoder = NativeEventEncoder(turn: last.turn, attempt: attempt)
        var events: [EncodedEvent]
        let stored: StoredTurn?
        do { stored = try await memory.turn(scope, id: last.turn) } catch { throw APIError(error) }
        if let stored, stored.turn.ending == .complete || stored.turn.ending == .waiting {
            events = [
                encoder.restarted(),
                encoder.started(session: scope.sessionID, agent: stored.turn.agent, tier: .l2),
            ]
            events += TurnEvent.replay(stored).compactMap { encoder.encode($0) }
        } else {
            events = [encoder.failed(.turnUnknown)]
        }
        follow(scope, request.exchange, from: .missed(ByteBuffer(joining: events)), seen: seen)
    }
}

extension APIError {
    fileprivate static let turnUnknown = APIError(
        .notFound, code: "turn_unknown",
        "Nothing is kept of this turn: it was never stored, or its events are too old. Send it again under its id."
    )
}

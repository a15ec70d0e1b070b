/// Decides at which of the pool's workers a turn runs: here, at the session's owner, or at another one in the place of a worker that drains.
import Agent
import Memory
import NIOHTTP1

/// Who sent a request.
enum RequestOrigin: Sendable, Equatable {
    case client
    /// Another worker of the pool, which will not be sent it back.
    case peer
}

extension PublicAPI {
    /// Owners that are tried for one request.
    private static var placeLimit: Int { 4 }

    /// Runs a turn by `serve`, or has another worker run it.
    ///
    /// - Parameters:
    ///   - turn: its id, where the client chose it: such a turn may be begun again elsewhere.
    ///   - isStreamed: the answer comes as the model writes, not at the turn's end.
    ///   - serve: gets the workers to which the session is left where one of them has it; throws `SessionElsewhere` then, and
    ///     `APIError.draining` where this worker takes no new turns.
    func place(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ session: SessionID?, turn: TurnID?,
        _ origin: RequestOrigin, isStreamed: Bool = true,
        serve: @Sendable (_ others: [String]) async throws -> Void
    ) async throws {
        guard let relay, origin == .client else {
            do { return try await serve([]) } catch let error as APIError where error == .draining {
                throw origin == .peer ? APIError.misdirected : error
            }
        }
        var unreachable: Set<String> = []
        for _ in 0..<Self.placeLimit {
            do {
                return try await serve(relay.peers.serving.filter { !unreachable.contains($0) })
            } catch let elsewhere as SessionElsewhere {
                guard let owner = elsewhere.live.owner else { throw APIError.workerLost }
                let isSure = try await send(request, caller, session, turn, isStreamed, to: owner)
                guard let isSure else { return }
                // It may still be at this very turn: that is nobody's before its lease has ended.
                if !isSure || (turn != nil && elsewhere.live.unfinishedTurn == turn) {
                    try await leaseEnds(of: owner)
                }
                unreachable.insert(owner)
            } catch let error as APIError where error == .draining {
                for other in relay.peers.substitutes() {
                    guard try await send(request, caller, session, turn, isStreamed, to: other) != nil
                    else { return }
                }
                throw error
            }
        }
        throw APIError.workerLost
    }

    /// - Returns: nil where the client is answered; else whether it is sure that nothing of the request was done.
    private func send(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ session: SessionID?, _ turn: TurnID?,
        _ isStreamed: Bool, to worker: String
    ) async throws(APIError) -> Bool? {
        guard let relay else { return true }
        switch await relay.forward(request, caller, session: session, to: worker, isStreamed: isStreamed) {
        case .answered: return nil
        case .notTaken: return true
        case .unanswered:
            // Without an id it can't be told from another turn of the same words.
            guard turn != nil else { throw .workerLost }
            return false
        }
    }

    /// Returns when the worker has not reported for too long. Answers to the client take no longer than twice that.
    private func leaseEnds(of worker: String) async throws {
        let deadline = ContinuousClock.now + PeerDirectory.patience * 2
        while relay?.peers.lease(of: worker) != .ended {
            guard .now < deadline else {
                throw APIError.overloaded("The worker that has this session does not answer; come again.")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}

extension APIError {
    /// What a worker tells another that has sent it what it can't take.
    static let misdirected = APIError(
        .misdirectedRequest, type: "server_error", code: "misdirected",
        "This worker does not take requests for others now.")
}

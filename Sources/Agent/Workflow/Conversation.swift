import Memory

/// The `converse` node: streams the model's reply to the client while the client stays, the time lasts and
/// the model goes on.
public struct Conversation: Sendable {
    public internal(set) var reply = CollectedReply()
    public internal(set) var ending = Turn.Ending.complete
    /// Where the ending is `.failed`.
    public internal(set) var failure: TurnFailure?
    /// When the first delta of the reply arrived.
    var firstDelta: ContinuousClock.Instant?
}

extension Conversation {
    /// What asking the model takes.
    struct Call: Sendable {
        let model: any ChatModel
        let request: ChatRequest
        let timeout: Duration
        let clientLeft: (@Sendable () async -> Void)?
        let emit: @Sendable ([TurnEvent]) async throws -> Void
        /// Told before the model is asked.
        let preface: [TurnEvent]
    }

    private enum Finished: Sendable {
        case reply(Conversation)
        case clientLeft
        case timedOut
        /// The watch over the client or the time was called off, since the reply is there.
        case calledOff
    }

    /// Runs reply, client and clock side by side. The first to end ends the others; what was generated until
    /// then is kept. Returns when all of them have ended: no connection to the model outlives the turn.
    static func hold(_ call: Call) async -> Conversation {
        await withTaskGroup(of: Finished.self) { group in
            group.addTask { .reply(await stream(call)) }
            if let clientLeft = call.clientLeft {
                group.addTask {
                    await clientLeft()
                    return Task.isCancelled ? .calledOff : .clientLeft
                }
            }
            group.addTask {
                do {
                    try await Task.sleep(for: call.timeout)
                    return .timedOut
                } catch {
                    return .calledOff
                }
            }
            var cause: Finished?
            var conversation = Conversation()
            for await finished in group {
                switch finished {
                case .reply(let held): conversation = held
                case .clientLeft, .timedOut: if cause == nil { cause = finished }
                case .calledOff: break
                }
                group.cancelAll()
            }
            return conversation.ended(by: cause, timeout: call.timeout)
        }
    }

    /// Settles how the reply ended, and names the true cause where it was cancelled from outside.
    private func ended(by cause: Finished?, timeout: Duration) -> Conversation {
        var conversation = self
        if reply.finishReason != nil {
            // The model had said all it wanted: what broke afterwards broke nothing of the reply.
            conversation.ending = .complete
            conversation.failure = nil
            return conversation
        }
        conversation.reply.dropUnfinishedCalls()
        guard failure?.kind == .cancelled else { return conversation }
        if case .timedOut = cause {
            conversation.failure = .timedOut(after: timeout)
        } else {
            conversation.ending = .cancelled
            conversation.failure = nil
        }
        return conversation
    }

    /// Passes the reply on, chunk by chunk: all that arrived together is told together.
    private static func stream(_ call: Call) async -> Conversation {
        var conversation = Conversation()
        do {
            if !call.preface.isEmpty { try await call.emit(call.preface) }
            var reply = try await call.model.open(call.request)
            while let deltas = try await reply.next() {
                if conversation.firstDelta == nil { conversation.firstDelta = .now }
                var events: [TurnEvent] = []
                events.reserveCapacity(deltas.count)
                try conversation.reply.take(deltas, telling: &events)
                if !events.isEmpty { try await call.emit(events) }
            }
        } catch let error as ModelError {
            conversation.ending = .failed
            conversation.failure = TurnFailure(error)
        } catch {
            // Only the client's side throws anything else: nobody reads the reply any more.
            conversation.ending = .failed
            conversation.failure = .cancelled
        }
        return conversation
    }
}

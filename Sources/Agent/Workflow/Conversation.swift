import Memory

/// One reply of the `converse` node: streams it to the client while the client stays, the time lasts and the model goes on.
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
        /// Ids of the turn's calls so far.
        let callIDs: Set<String>
        /// Names of the functions that the client carries out.
        var clientFunctions: Set<String> = []
    }

    /// Runs the reply, and beside it the watch over the client. The first to end ends the other; what was generated
    /// until then is kept. Returns when both have ended: no connection to the model outlives the turn.
    static func hold(_ call: Call) async -> Conversation {
        guard let clientLeft = call.clientLeft else { return await stream(call).ended() }
        return await withTaskGroup(of: Conversation?.self) { group in
            group.addTask { await stream(call) }
            group.addTask {
                await clientLeft()
                return nil
            }
            var conversation = Conversation()
            for await finished in group {
                if let finished { conversation = finished }
                group.cancelAll()
            }
            return conversation.ended()
        }
    }

    /// Settles how the reply ended.
    private func ended() -> Conversation {
        var conversation = self
        if reply.finishReason != nil {
            // The model had said all it wanted: what broke afterwards broke nothing of the reply.
            conversation.ending = .complete
            conversation.failure = nil
            return conversation
        }
        conversation.reply.dropCalls()
        if failure?.kind == .cancelled {
            conversation.ending = .cancelled
            conversation.failure = nil
        }
        return conversation
    }

    /// Passes the reply on, chunk by chunk: all that arrived together is told together.
    private static func stream(_ call: Call) async -> Conversation {
        var conversation = Conversation(
            reply: CollectedReply(afterCalls: call.callIDs, clientFunctions: call.clientFunctions))
        let started = ContinuousClock.now
        do {
            if !call.preface.isEmpty { try await call.emit(call.preface) }
            var reply = try await call.model.open(call.request)
            while let deltas = try await reply.next() {
                if conversation.firstDelta == nil { conversation.firstDelta = .now }
                var events: [TurnEvent] = []
                events.reserveCapacity(deltas.count)
                try conversation.reply.take(deltas, telling: &events)
                if !events.isEmpty { try await call.emit(events) }
                if started.duration(to: .now) >= call.timeout { throw ModelError(.timeout, "") }
            }
        } catch let error as ModelError {
            conversation.ending = .failed
            let isOver = error.kind == .timeout && started.duration(to: .now) >= call.timeout
            conversation.failure = isOver ? .timedOut(after: call.timeout) : TurnFailure(error)
        } catch {
            // Only the client's side throws anything else: nobody reads the reply any more.
            conversation.ending = .failed
            conversation.failure = .cancelled
        }
        return conversation
    }
}

/// What a person decides about calls of tools that need an approval, and what a turn that waits for it holds.
import Memory

/// About one call.
public enum ApprovalDecision: Sendable, Equatable {
    case approved
    /// The call is not made; the model is told why.
    case refused(reason: String)
}

/// Why decisions don't fit the turn that they name.
public enum DecisionFault: Error, Sendable, Equatable {
    case unknownTurn(TurnID)
    /// With the ids of the calls that do wait.
    case unknownCall(String, waiting: [String])
    /// A call that waits is not among those that are decided.
    case undecided(String)
}

extension ToolResult {
    /// - Parameter reason: the person's own words, bounded by whoever took them; empty where they gave none.
    static func refused(because reason: String) -> ToolResult {
        ToolResult(
            .refused,
            "This call was not made: the user refused it." + (reason.isEmpty ? "" : " They say: \(reason)"))
    }
}

extension Turn {
    /// The calls that wait for a person; none of a turn that doesn't wait.
    public var awaitingApproval: [ToolCall] {
        guard ending == .waiting else { return [] }
        return ToolSteps(recorded: steps).open.filter { $0.approval == .awaited }
    }

    /// The times at which the turn came to calls that a person had to approve, oldest first: the ids of those calls. The last one is
    /// still to be decided where the turn waits.
    public var pauses: [[String]] {
        steps.compactMap { message in
            let asked = (message.toolCalls ?? []).filter { $0.approval != nil }
            return asked.isEmpty ? nil : asked.map(\.id)
        }
    }

    /// Which of the pauses is decided. It may be one that was decided before: what was decided then stays.
    ///
    /// All calls of a pause have to be decided at once, and nothing else.
    ///
    /// - Parameter decisions: one at least.
    /// - Returns: an index of `pauses`.
    public func pause(decidedBy decisions: [String: ApprovalDecision]) throws(DecisionFault) -> Int {
        let pauses = pauses
        let waiting = ending == .waiting ? pauses.last ?? [] : []
        let place = pauses.lastIndex { pause in pause.contains { decisions[$0] != nil } }
        let decidable = place.map { pauses[$0] } ?? []
        if let stray = decisions.keys.sorted().first(where: { !decidable.contains($0) }) {
            throw .unknownCall(stray, waiting: waiting)
        }
        if decidable == waiting, let missing = waiting.first(where: { decisions[$0] == nil }) {
            throw .undecided(missing)
        }
        return place ?? 0
    }

    /// A turn that waits, brought to its end: its open calls are not made.
    public func refusingApproval(at time: Int64) -> Turn {
        var steps = ToolSteps(recorded: steps)
        for call in steps.open {
            steps.answer(
                call,
                ToolResult(.refused, "This call was not made: the user went on without approving it."))
        }
        var turn = self
        turn.messages = messages.prefix(inputCount ?? messages.count) + steps.messages
        turn.ending = .complete
        turn.finishedAt = time
        return turn
    }
}

/// What a person decides about calls of tools that need an approval, and what a turn that waits for it holds.
import Memory

/// About one call.
public enum ApprovalDecision: Sendable, Equatable {
    case approved
    /// The call is not made; the model is told why.
    case refused(reason: String)
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

/// Decides whether the answers that a client brings fit the calls that it was asked for. Pure.
import Memory

enum ClientAnswers {
    /// Answers that don't fit the calls.
    enum Fault: Error, Equatable {
        /// With the calls that do wait, or waited when the request came.
        case unknownCall(String, waiting: [String])
        case answeredTwice(String)
        /// Something else was said before it.
        case late(String)
        case unanswered(String)
    }

    /// - Parameters:
    ///   - new: the messages that are new in the turn. None of them may answer a call that nobody made; whoever answers one call of
    ///     a reply answers all of them. A client that says something else in the place of all answers lets the calls be.
    ///   - carried: those of the client's own history that stand before them and are not ours. They are taken as they are.
    ///   - history: the turns before these.
    /// - Returns: `new`, each answer with the name of its function.
    static func named(
        _ new: [Message], carried: [Message], after history: [StoredTurn]
    ) throws(Fault) -> [Message] {
        guard new.contains(where: { $0.role == .tool }) else { return new }
        var waiting = history.last?.turn.clientCalls ?? []
        for message in carried {
            switch message.role {
            case .assistant: waiting = message.toolCalls ?? []
            case .tool: waiting.removeAll { $0.id == message.toolCallID }
            case .user, .system: waiting = []
            }
        }
        var asked = waiting.map(\.id)
        var named = new
        var isAnswered = false
        for (index, message) in new.enumerated() {
            switch message.role {
            case .assistant:
                (waiting, isAnswered) = (message.toolCalls ?? [], false)
                asked = waiting.map(\.id)
            case .tool:
                let id = message.toolCallID ?? ""
                guard let place = waiting.firstIndex(where: { $0.id == id }) else {
                    if asked.contains(id) { throw isAnswered ? .answeredTwice(id) : .late(id) }
                    throw .unknownCall(id, waiting: asked)
                }
                named[index].name = waiting.remove(at: place).name
                isAnswered = true
            case .user, .system:
                if isAnswered, let missing = waiting.first { throw .unanswered(missing.id) }
                (waiting, isAnswered) = ([], false)
            }
        }
        if isAnswered, let missing = waiting.first { throw .unanswered(missing.id) }
        return named
    }
}

extension APIError {
    /// - Parameter field: of the body, that holds the messages.
    init(_ fault: ClientAnswers.Fault, field: String) {
        switch fault {
        case .unknownCall(let call, let waiting):
            self = .invalid(
                field,
                "No call \(call) waits for an answer; "
                    + (waiting.isEmpty
                        ? "none does in this session. Answers go to the session that has the calls, as the first messages after them."
                        : "these do: \(waiting.joined(separator: ", "))."))
        case .answeredTwice(let call):
            self = .invalid(field, "The call \(call) is answered twice: leave one of the answers out.")
        case .late(let call):
            self = .invalid(
                field,
                "The answer to the call \(call) comes too late: answers stand before what else is said.")
        case .unanswered(let call):
            self = .invalid(
                field, "The call \(call) has no answer: answer all calls of a reply in the same request.")
        }
    }
}

/// Decides what of a request's messages is new, where the server has a history of its own for the session. Pure.
import Memory

struct HistoryReconciliation: Equatable {
    /// The turn goes on after this sequence; `nil` where it goes on at the history's end.
    var forkedAfter: Int?
    /// Messages before the last assistant message that the history doesn't have: they are kept with the turn.
    var carried: [Message]

    static let append = HistoryReconciliation(forkedAfter: nil, carried: [])

    /// What a body's messages split into: those up to the assistant's last, and the new ones.
    static func split(_ messages: [Message]) -> (prior: [Message], new: [Message]) {
        let end = messages.lastIndex { $0.role == .assistant }.map { $0 + 1 } ?? 0
        return (Array(messages[..<end]), Array(messages[end...]))
    }

    /// - Parameters:
    ///   - prior: what the client believes to be the conversation so far, or its end; empty where it leaves that to us.
    ///   - context: the history's last turns, as the model would see them.
    ///   - turnCount: all turns of the session.
    ///
    /// The longest beginning of `prior` that ends where a turn of the history ends says where the client is; what
    /// follows in `prior` is carried.
    static func of(prior: [Message], context: [StoredTurn], turnCount: Int) -> HistoryReconciliation {
        guard !prior.isEmpty else { return .append }
        guard turnCount > 0 else { return HistoryReconciliation(forkedAfter: nil, carried: prior) }
        var history: [Message] = []
        var ends: [(sequence: Int, count: Int)] = []
        for stored in context {
            history += stored.turn.shown
            ends.append((stored.sequence, history.count))
        }
        let reachesStart = context.first?.sequence == 1
        for length in stride(from: prior.count, to: 0, by: -1) {
            for end in ends.reversed()
            where fits(prior[..<length], history[..<end.count], wholeHistory: reachesStart) {
                return HistoryReconciliation(
                    forkedAfter: end.sequence == turnCount ? nil : end.sequence,
                    carried: Array(prior[length...]))
            }
        }
        return HistoryReconciliation(forkedAfter: 0, carried: prior)
    }

    /// Compared from the end. A client may send less than there is; it may send more only where our window has an earlier part.
    private static func fits(
        _ prior: ArraySlice<Message>, _ history: ArraySlice<Message>, wholeHistory: Bool
    ) -> Bool {
        guard prior.count <= history.count || !wholeHistory else { return false }
        for (theirs, ours) in zip(prior.reversed(), history.reversed())
        where theirs.role != ours.role || theirs.content != ours.content || theirs.callIDs != ours.callIDs {
            return false
        }
        return !history.isEmpty
    }

    /// Of a client that brings the answers of calls again, for the turns that had them were cut off: it goes on where these did, and
    /// leaves them behind. But for one that has called tools: what these did must stay in the model's sight.
    ///
    /// - Parameter visible: the turns that lead to where it would go on otherwise.
    func answering(_ new: [Message], visible: [StoredTurn]) -> HistoryReconciliation {
        guard new.first?.role == .tool, carried.isEmpty else { return self }
        let asking = visible.last { stored in
            let isCut = stored.turn.ending == .cancelled || stored.turn.ending == .failed
            return !isCut || stored.turn.inputCount != nil || stored.turn.messages.first?.role != .tool
        }
        guard let asking, asking.sequence != visible.last?.sequence else { return self }
        return HistoryReconciliation(forkedAfter: asking.sequence, carried: [])
    }

    /// Of a client that names the turn after which it goes on, and sends only what is new; nil where the history's last turns don't
    /// have that one.
    static func following(
        _ turn: TurnID, in context: [StoredTurn], turnCount: Int
    ) -> HistoryReconciliation? {
        guard let point = context.last(where: { $0.turn.id == turn })?.sequence else { return nil }
        return HistoryReconciliation(forkedAfter: point == turnCount ? nil : point, carried: [])
    }

    /// The turns that the model sees: those that lead to the last one, or to the fork's point. What a fork on that way left
    /// behind is not among them.
    static func visible(_ context: [StoredTurn], from fork: Int? = nil) -> [StoredTurn] {
        var visible: [StoredTurn] = []
        var end = fork ?? .max
        for stored in context.reversed() where stored.sequence <= end {
            visible.append(stored)
            end = stored.turn.forkedAfter ?? stored.sequence - 1
        }
        return visible.reversed()
    }
}

extension Message {
    /// By these calls are the same: many a client writes their arguments anew.
    fileprivate var callIDs: [String] { (toolCalls ?? []).map(\.id) }
}

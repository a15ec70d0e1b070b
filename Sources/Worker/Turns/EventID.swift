/// The name of one event of a turn: `TURN.ATTEMPT.SEQUENCE`, as clients send it back in `Last-Event-ID`.
import Memory

struct EventID: Hashable, Sendable {
    var turn: TurnID
    /// Which try to answer the turn; counted from 1.
    var attempt: Int
    /// Within the attempt; counted from 1.
    var sequence: Int

    init(turn: TurnID, attempt: Int, sequence: Int) {
        self.turn = turn
        self.attempt = attempt
        self.sequence = sequence
    }

    /// Nil where the text is none. A turn's own id may hold dots: the numbers are the last two parts.
    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count >= 3, let sequence = Int(parts[parts.count - 1]),
            let attempt = Int(parts[parts.count - 2]),
            let turn = TurnID(parts.dropLast(2).joined(separator: "."))
        else { return nil }
        self.init(turn: turn, attempt: attempt, sequence: sequence)
    }

    var text: String { "\(turn.value).\(attempt).\(sequence)" }
}

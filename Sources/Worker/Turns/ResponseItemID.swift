/// The names of the items of responses and conversations: each says which turn the item is of. Pure.
import Memory

/// A call that a person is asked to approve.
struct ApprovalRequestID: Hashable, Sendable {
    private static let request = "mcpr_"
    private static let answer = "mcpa_"

    let turn: TurnID
    /// As the model's server named it.
    let call: String

    init(turn: TurnID, call: String) {
        self.turn = turn
        self.call = call
    }

    /// Nil where the text names no such call.
    init?(_ text: String) { self.init(text, prefix: Self.request) }

    fileprivate init?(_ text: String, prefix: String) {
        guard let fields = OpaqueID.fields(of: text, prefix: prefix), fields.count == 2,
            let turn = TurnID(fields[0])
        else { return nil }
        self.init(turn: turn, call: fields[1])
    }

    fileprivate init?(ofAnswer text: String) { self.init(text, prefix: Self.answer) }

    var text: String { OpaqueID.text(prefix: Self.request, [turn.value, call]) }

    /// The name of the item that holds what was decided.
    var answerText: String { OpaqueID.text(prefix: Self.answer, [turn.value, call]) }
}

enum ResponseItemID {
    /// Of a message or a call that a response tells.
    ///
    /// - Parameters:
    ///   - kind: what the id begins with.
    ///   - part: the response's, among those of its turn.
    static func output(_ kind: StaticString, _ turn: TurnID, part: Int, index: Int) -> String {
        "\(kind)_\(turn.value)_\(part)_\(index)"
    }

    /// Of a message that came in, or of an answer or a call.
    ///
    /// - Parameter call: among those of the message.
    static func input(_ kind: StaticString, _ turn: TurnID, index: Int, call: Int? = nil) -> String {
        "\(kind)_\(turn.value)_in_\(index)" + (call.map { ".\($0)" } ?? "")
    }

    /// The turn that an item is of; nil where the text names no item.
    static func turn(of text: String) -> TurnID? {
        if let id = ApprovalRequestID(text) ?? ApprovalRequestID(ofAnswer: text) { return id.turn }
        // The turn's own id may hold anything.
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count >= 4 else { return nil }
        return TurnID(parts[1..<(parts.count - 2)].joined(separator: "_"))
    }
}

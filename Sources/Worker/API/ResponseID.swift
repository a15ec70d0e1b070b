/// The name of a response: which turn of which session it is, so that nothing has to be kept to find it again. Pure.
import Memory

/// A session's id holds within its principal: somebody else's response id names a turn that its holder doesn't have.
struct ResponseID: Hashable, Sendable {
    private static let prefix = "resp_"

    let session: SessionID
    let turn: TurnID
    /// How often the turn had waited for a person before what the response tells: each decision is answered by a response of its own.
    let part: Int

    init(session: SessionID, turn: TurnID, part: Int = 0) {
        self.session = session
        self.turn = turn
        self.part = part
    }

    /// Nil where the text names no response of ours.
    init?(_ text: String) {
        guard let fields = OpaqueID.fields(of: text, prefix: Self.prefix), (2...3).contains(fields.count),
            // A text that can't be a session's id is none of ours.
            let session = try? SessionID(fields[0], param: ""), let turn = TurnID(fields[1])
        else { return nil }
        guard fields.count == 3 else {
            self.init(session: session, turn: turn)
            return
        }
        guard let part = Int(fields[2]), part > 0, String(part) == fields[2] else { return nil }
        self.init(session: session, turn: turn, part: part)
    }

    /// `resp_` and letters, digits, `-` and `_`.
    var text: String {
        OpaqueID.text(
            prefix: Self.prefix, [session.value, turn.value] + (part == 0 ? [] : [String(part)]))
    }
}

extension APIError {
    /// What OpenAI's own API answers to an id that it doesn't know.
    static let previousResponseUnknown = APIError(
        .badRequest, code: "previous_response_not_found",
        "There is no such response for this caller: its turn was never stored, was forgotten, or is somebody else's.",
        param: "previous_response_id")

    /// - Parameter firstTurn: the first that a turn can go on after.
    static func previousResponseTooOld(firstTurn: Int) -> APIError {
        APIError(
            .badRequest, code: "previous_response_too_old",
            "The turn of this response is archived, and the conversation can't be taken up there any more: "
                + "go on after turn \(firstTurn) or a later one, or begin another conversation.",
            param: "previous_response_id")
    }

    static func unknownResponse(_ id: String) -> APIError {
        APIError(
            .notFound, code: "response_not_found",
            "There is no response `\(id)` for this caller. A response is there once its turn is stored.")
    }

    static func unknownConversation(_ id: String) -> APIError {
        APIError(
            .notFound, code: "conversation_not_found",
            "There is no conversation `\(id)` for this caller. A conversation is there once it has a response."
        )
    }
}

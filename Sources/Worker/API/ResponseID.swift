/// The name of a response: which turn of which session it is, so that nothing has to be kept to find it again. Pure.
import Foundation
import Memory

/// A session's id holds within its principal: somebody else's response id names a turn that its holder doesn't have.
struct ResponseID: Hashable, Sendable {
    private static let prefix = "resp_"
    /// Neither id holds a control character.
    private static let separator: UInt8 = 0

    let session: SessionID
    let turn: TurnID

    init(session: SessionID, turn: TurnID) {
        self.session = session
        self.turn = turn
    }

    /// Nil where the text names no response of ours.
    init?(_ text: String) {
        guard text.hasPrefix(Self.prefix), let bytes = [UInt8](base64URL: text.dropFirst(Self.prefix.count)),
            let end = bytes.firstIndex(of: Self.separator),
            let name = String(validating: bytes[..<end], as: UTF8.self),
            let turnName = String(validating: bytes[(end + 1)...], as: UTF8.self),
            // A text that can't be a session's id is none of ours.
            let session = try? SessionID(name, param: ""), let turn = TurnID(turnName)
        else { return nil }
        self.init(session: session, turn: turn)
    }

    /// `resp_` and letters, digits, `-` and `_`.
    var text: String {
        Self.prefix
            + (Array(session.value.utf8) + [Self.separator] + Array(turn.value.utf8)).base64URL
    }
}

extension [UInt8] {
    /// RFC 4648, section 5, without padding.
    fileprivate var base64URL: String {
        Data(self).base64EncodedString()
            .replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    /// Nil for any other text.
    fileprivate init?(base64URL text: Substring) {
        let standard = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        let padding = String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4)
        guard let data = Data(base64Encoded: standard + padding) else { return nil }
        self.init(data)
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

/// What came of one request, told apart by what can be concluded from it.

import Transport

/// A server's answer to one request, or what came in its place.
enum MCPReply: Sendable, Equatable {
    /// The value of the answer's `result`.
    case result([UInt8])
    /// An error in the protocol's own form, with the HTTP status under which it came.
    case error(MCPServerError, status: Int)
    /// An HTTP status that says no, and what else was said in whatever form.
    case refused(status: Int, text: String?, location: String?)
    /// A success that isn't the protocol; for people: "HTML".
    case unreadable(String)
    /// An event stream that ended without an answer.
    case ended
    case tooLarge(limit: Int)
    /// No answer: whether anything was sent is for the request's ``SendPermit`` to say.
    case broken(TransportError)

    /// The server may still work on an answer that nobody reads.
    var isGivenUp: Bool {
        switch self {
        case .ended, .tooLarge, .broken: true
        case .result, .error, .refused, .unreadable: false
        }
    }
}

/// Reads what a refusing server says besides its status.
enum RefusalText {
    /// - Returns: the protocol's error where it is one; else any message that stands in the body.
    static func read(_ body: [UInt8]) -> (error: MCPServerError?, text: String?) {
        // What is not the protocol may still be a message for people.
        if let messages = try? MCPMessage.all(in: body) {
            for case .error(_, let error) in messages where error.code != nil { return (error, nil) }
        }
        var reader = JSONReader(body, repairsSurrogates: true)
        // What is no object of a known form is looked at as plain text next.
        if let text = try? readObject(&reader) { return (nil, text) }
        // A proxy's plain text is a message, its HTML page is none.
        let text = String(decoding: body, as: UTF8.self)
        let isPlain = !text.contains("<") && !text.contains("{")
        return (nil, isPlain && !text.isEmpty ? text : nil)
    }

    /// `{"error": "..."}`, `{"error": {"message"}}`, `{"message"}`, `{"detail"}` and `{"error_description"}`.
    private static func readObject(_ reader: inout JSONReader) throws(JSONError) -> String? {
        var texts: [String: String] = [:]
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "error": texts[key] = try MCPServerError(&reader).message
            case "message", "detail", "error_description": texts[key] = try reader.readText()
            default: try reader.skipValue()
            }
        }
        return texts["error_description"] ?? texts["message"] ?? texts["detail"] ?? texts["error"]
    }
}

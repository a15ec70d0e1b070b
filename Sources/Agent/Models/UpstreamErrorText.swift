/// Reads what a model's server says about an error, in the shapes that servers use, and makes it fit to be
/// shown.
struct UpstreamErrorText: Equatable {
    static let messageLimit = 500

    var message: String?
    var code: String?

    /// Reads `{"error": {"message", "code", "type"}}`, `{"error": "..."}`, `{"message": "..."}`, `{"detail":
    /// "..."}` and plain text. Whatever else it is, there is no message in it.
    init(body: [UInt8]) {
        var reader = JSONReader(body)
        do {
            try readObject(&reader)
        } catch {
            // Not JSON: a proxy's plain text is a message, its HTML page is none.
            let text = String(decoding: body.prefix(Self.messageLimit * 4), as: UTF8.self)
            if !text.contains("<") { message = text }
        }
    }

    /// Reads the value of an `error` member, wherever it stood.
    init(errorValue reader: inout JSONReader) throws(JSONError) {
        try readError(&reader)
    }

    /// The message in one line and bounded, without the secret should the server have quoted it.
    func shown(hiding secret: String?) -> String? {
        guard var text = message else { return nil }
        if let secret, !secret.isEmpty {
            text = text.split(separator: secret, omittingEmptySubsequences: false).joined(
                separator: "[redacted]")
        }
        let line = text.split { $0.isNewline || $0.unicodeScalars.allSatisfy { $0.value < 0x20 } }.joined(
            separator: " ")
        let bounded = Sentences.bounded(line, bytes: Self.messageLimit)
        return bounded.isEmpty ? nil : bounded
    }

    /// Whether the server says that the prompt is too long, in any of the usual wordings.
    var saysContextTooLong: Bool {
        if code == "context_length_exceeded" { return true }
        guard let text = message?.lowercased() else { return false }
        return [
            "context length", "context_length", "context window", "maximum context", "too many tokens",
            "prompt is too long",
        ]
        .contains { text.contains($0) }
    }

    private mutating func readObject(_ reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "error": try readError(&reader)
            case "message", "detail": message = try readText(&reader) ?? message
            case "code": code = try readText(&reader) ?? code
            default: try reader.skipValue()
            }
        }
    }

    private mutating func readError(_ reader: inout JSONReader) throws(JSONError) {
        switch try reader.peek() {
        case .object:
            var type: String?
            try reader.beginObject()
            while let key = try reader.nextKey() {
                switch key {
                case "message": message = try readText(&reader)
                case "code": code = try readText(&reader)
                case "type": type = try readText(&reader)
                default: try reader.skipValue()
                }
            }
            code = code ?? type
        default: message = try readText(&reader)
        }
    }

    /// A string or a number as text; anything else is passed over.
    private func readText(_ reader: inout JSONReader) throws(JSONError) -> String? {
        switch try reader.peek() {
        case .string: return try reader.readString()
        case .number: return String(decoding: try reader.readRaw(), as: UTF8.self)
        default:
            try reader.skipValue()
            return nil
        }
    }
}

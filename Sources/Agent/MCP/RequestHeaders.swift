/// Decides whether a Secret's keys and values can be request headers, and how the protocol's values are written as such.

/// The headers that a server's Secret adds to every request, checked.
struct SecretHeaders: Sendable, Equatable {
    let fields: [(name: String, value: String)]
    let hidden: HiddenValues

    static func == (one: SecretHeaders, other: SecretHeaders) -> Bool {
        one.fields.elementsEqual(other.fields, by: ==)
    }

    /// - Parameter headers: the Secret's; nil where it is missing.
    init(_ headers: [String: String]?, of server: MCPServerName) throws(MCPError) {
        guard let headers else {
            throw MCPError(
                .configuration,
                "\(server.field).headersSecretRef: there is no such Secret. Create it, or take the reference out."
            )
        }
        var fields: [(name: String, value: String)] = []
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            guard HeaderText.isToken(name) else {
                // A key of a Secret is no secret, but one that is no word could be a value in the wrong place.
                throw Self.unusable(
                    server, "has a key that is no header's name: letters, digits and '-' only")
            }
            guard !HeaderText.isReserved(name) else {
                throw Self.unusable(server, "has the key \(name), a header that the client writes itself")
            }
            // A mounted file often ends in a line end that is no part of the value.
            let trimmed = HeaderText.trimmed(value)
            guard !trimmed.isEmpty else { throw Self.unusable(server, "has nothing under the key \(name)") }
            guard HeaderText.isPlain(trimmed) else {
                throw Self.unusable(
                    server, "has a line end or a character that no header may hold under the key \(name)")
            }
            fields.append((name, trimmed))
        }
        self.fields = fields
        hidden = HiddenValues(headers: fields)
    }

    /// None, where there are secrets all the same.
    init(hiding hidden: HiddenValues) {
        fields = []
        self.hidden = hidden
    }

    private static func unusable(_ server: MCPServerName, _ what: String) -> MCPError {
        MCPError(
            .configuration,
            "\(server.field).headersSecretRef: the Secret \(what). Its keys are names of request headers, its values printable ASCII."
        )
    }
}

/// What may stand in a header, and the form in which other text stands there.
enum HeaderText {
    /// A token of RFC 9110, section 5.6.2.
    static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// Headers whose value the client decides.
    static func isReserved(_ name: String) -> Bool {
        let name = name.lowercased()
        return name.hasPrefix("mcp-")
            || [
                "accept", "accept-encoding", "connection", "content-length", "content-type", "expect", "host",
                "keep-alive", "last-event-id", "te", "trailer", "transfer-encoding", "upgrade",
            ].contains(name)
    }

    /// Printable ASCII, spaces and tabs.
    static func isPlain(_ text: String) -> Bool {
        text.utf8.allSatisfy { ($0 >= 0x20 && $0 < 0x7F) || $0 == 0x09 }
    }

    static func trimmed(_ text: String) -> String {
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        let start = text.utf8.firstIndex { !isSpace($0) } ?? text.endIndex
        let end = text.utf8.lastIndex { !isSpace($0) }.map { text.utf8.index(after: $0) } ?? start
        return String(text[start..<max(start, end)])
    }

    /// A value as it stands in `Mcp-Name` and `Mcp-Param-*`: as it is, or as `=?base64?...?=` where a header can't hold it.
    static func encoded(_ value: String) -> String {
        let looksEncoded = value.hasPrefix("=?base64?") && value.hasSuffix("?=")
        let isPlain =
            value.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } && value.utf8.first != 0x20
            && value.utf8.last != 0x20 && !value.isEmpty
        if isPlain, !looksEncoded { return value }
        return "=?base64?\(base64(Array(value.utf8)))?="
    }

    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func base64(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group = 0
            for place in 0..<3 { group = group << 8 | (place < count ? Int(bytes[start + place]) : 0) }
            for place in 0..<4 {
                text.append(
                    place <= count ? digits[group >> (18 - 6 * place) & 0x3F] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

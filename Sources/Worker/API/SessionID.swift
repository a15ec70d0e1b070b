/// The client's name for a session, and where a request may carry it.
import NIOHTTP1

struct SessionID: Hashable, Sendable {
    static let maximumBytes = 256
    static let header = "X-Session-Id"
    static let cookie = "agentpool-session"

    let value: String

    /// Any text will do but control characters: it is echoed in a header field.
    init(_ value: String, param: String) throws(APIError) {
        guard !value.isEmpty, value.utf8.count <= Self.maximumBytes,
            value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else {
            throw .invalid(
                param, "A session id has 1 to \(Self.maximumBytes) bytes and no control characters.")
        }
        self.value = value
    }

    private init(minted value: String) { self.value = value }

    /// 128 random bits: can't be guessed, which is what keeps an anonymous session one's own.
    static func mint(prefix: StaticString = "sess-") -> SessionID {
        var generator = SystemRandomNumberGenerator()
        let high = String(generator.next() as UInt64, radix: 36)
        let low = String(generator.next() as UInt64, radix: 36)
        return SessionID(minted: prefix.description + high + low)
    }

    /// Header, then `metadata.session_id`, then the cookie; `nil` where the request names none.
    static func named(in headers: HTTPHeaders, metadata: String?) throws(APIError) -> SessionID? {
        if let value = headers.first(name: header) { return try SessionID(value, param: header) }
        if let metadata { return try SessionID(metadata, param: "metadata.session_id") }
        for field in headers["cookie"] {
            for pair in field.split(separator: ";") {
                let halves = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
                if halves.count == 2, halves[0] == cookie {
                    return try SessionID(String(halves[1]), param: "cookie \(cookie)")
                }
            }
        }
        return nil
    }

    /// Browsers mark their requests so. Other clients get no cookie: an SDK's client that keeps cookies would put
    /// conversations into one session that have nothing to do with each other.
    static func wantsCookie(_ headers: HTTPHeaders) -> Bool {
        headers.contains(name: "sec-fetch-site")
    }

    var setCookie: (name: String, value: String) {
        ("Set-Cookie", "\(Self.cookie)=\(value); Path=/; HttpOnly; SameSite=Lax")
    }
}

/// Whose memory a store call may touch: the one type that makes keys and filters, so that none can be made without a principal.
import Crypto

/// Who owns sessions and memories.
///
/// Two requests share memories only where all three parts are equal. Without an end user, recall stays inside the session.
public struct Principal: Hashable, Sendable {
    /// The pool's memory scope; `namespace/name` of the pool unless the manifest says otherwise.
    public var pool: String
    /// The name (never the value) of the API key, or `anonymous`.
    public var credential: String
    /// Named by a header or body field that only trusted keys may set.
    public var endUser: String?

    public init(pool: String, credential: String, endUser: String?) {
        self.pool = pool
        self.credential = credential
        self.endUser = endUser
    }
}

/// A session of a principal, as the stores know it: digests only, so no id can break a key or a filter.
public struct Scope: Hashable, Sendable {
    /// Whose memories recall sees: a digest of the principal, or of the session where no end user is named. Such a session
    /// shares nothing with others, not even the words that rank it.
    public let principal: Digest128
    /// Digest of the principal and the session id: the key of everything that belongs to the session.
    public let session: Digest128
    /// The id that the client knows the session by. For display; never part of a key.
    public let sessionID: String

    public init(principal: Principal, sessionID: String) {
        let owner = [principal.pool, principal.credential]
        let end = principal.endUser.map { ["user", $0] } ?? ["none"]
        session = Digest128(parts: ["session"] + owner + end + [sessionID])
        self.principal = principal.endUser == nil ? session : Digest128(parts: ["principal"] + owner + end)
        self.sessionID = sessionID
    }

    /// A scope as a store kept it beside what belongs to it.
    init(principal: Digest128, session: Digest128, sessionID: String) {
        self.principal = principal
        self.session = session
        self.sessionID = sessionID
    }
}

/// The first half of a SHA-256 over length-prefixed parts: equal only for equal lists of parts.
public struct Digest128: Hashable, Sendable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64

    public init(parts: [String]) {
        var hash = SHA256()
        for var part in parts {
            part.withUTF8 { bytes in
                withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { hash.update(bufferPointer: $0) }
                hash.update(bufferPointer: UnsafeRawBufferPointer(bytes))
            }
        }
        var words: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &words) { target in
            hash.finalize().withUnsafeBytes { target.copyBytes(from: $0.prefix(16)) }
        }
        high = UInt64(bigEndian: words.0)
        low = UInt64(bigEndian: words.1)
    }

    /// Stands for a pool's memory scope in the stores.
    init(pool: String) { self.init(parts: ["pool", pool]) }

    /// 32 lowercase hexadecimal digits.
    public var description: String {
        func digits(_ word: UInt64) -> String {
            let text = String(word, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return digits(high) + digits(low)
    }
}

extension Digest128 {
    /// The 16 bytes of `bytes`, as a store kept them; nil for any other length.
    init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Of `description`; nil for any other text.
    init?(hexadecimal text: String) {
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.high = high
        self.low = low
    }

    /// 16 bytes, the most significant first.
    var bytes: [UInt8] {
        [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
    }
}

extension Digest128: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let digest = Digest128(hexadecimal: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a digest has 32 hexadecimal digits")
        }
        self = digest
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// A reply as RESP2 knows it.
public enum RedisValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case status(String)
    case bulk([UInt8])
    case array([RedisValue])
    /// An error's code: its first word, for the rest may quote values. Of a redirection, all of it.
    case error(String)
}

extension RedisValue {
    /// A bulk's or a status's text; nil where it isn't UTF-8, or isn't text.
    public var string: String? {
        switch self {
        case .status(let text): text
        case .bulk(let bytes): String(validating: bytes, as: UTF8.self)
        default: nil
        }
    }

    /// An integer, or text that reads as one.
    public var int: Int? {
        if case .integer(let number) = self { return Int(exactly: number) }
        return string.flatMap { Int($0) }
    }

    public var array: [RedisValue]? {
        if case .array(let values) = self { return values }
        return nil
    }

    /// The bytes of a bulk or a status.
    public var bytes: [UInt8]? {
        switch self {
        case .bulk(let bytes): bytes
        case .status(let text): Array(text.utf8)
        default: nil
        }
    }

    public var isNull: Bool { self == .null }

    /// The code of an error reply.
    public var errorCode: String? {
        guard case .error(let text) = self else { return nil }
        return text.split(separator: " ", maxSplits: 1).first.map(String.init) ?? "ERR"
    }
}

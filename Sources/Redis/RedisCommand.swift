/// What is asked of Redis: commands, their arguments as bytes, and scripts.
import Crypto

/// Any bytes.
public struct RedisArgument: Hashable, Sendable, ExpressibleByStringLiteral {
    public let bytes: [UInt8]

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    public init(_ bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes)
    }

    public init(_ text: some StringProtocol) {
        bytes = Array(text.utf8)
    }

    /// The number in decimal.
    public init(_ number: some BinaryInteger) {
        bytes = Array(String(number).utf8)
    }

    public init(stringLiteral text: String) {
        self.init(text)
    }
}

public struct RedisCommand: Sendable {
    /// The command's name, which errors and logs show.
    public var name: String
    public var arguments: [RedisArgument]
    /// The argument that decides the slot; nil: any master will do.
    public var key: RedisArgument?
    /// Whether it may be sent again where the first answer was lost.
    public var isIdempotent: Bool

    public init(_ name: String, _ arguments: [RedisArgument], key: RedisArgument?, isIdempotent: Bool) {
        self.name = name
        self.arguments = arguments
        self.key = key
        self.isIdempotent = isIdempotent
    }
}

/// A Lua script. It is sent by its digest, and whole to a server that doesn't know it.
public struct RedisScript: Sendable {
    /// Stands for the script in errors and logs.
    public let name: String
    public let source: String
    /// The digest that Redis keeps it under, in lower-case hexadecimal.
    public let digest: String

    public init(name: String, source: String) {
        self.name = name
        self.source = source
        // Redis names scripts by SHA-1; nothing here relies on it against an attacker.
        digest = Insecure.SHA1.hash(data: Array(source.utf8))
            .map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
}

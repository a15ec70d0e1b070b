/// A length of time as a manifest writes it ("15m", "80ms", "1h30m"), kept beside its value so that it encodes as it was given.

public struct DurationText: Sendable, Hashable {
    /// The text as it was given.
    public let text: String
    public let duration: Duration

    /// The form that the manifest's schema asks for: numbers with the units `ms`, `s`, `m`, `h`.
    static let pattern = "^([0-9]{1,9}(ms|s|m|h))+$"

    /// Characters of a duration's text at most.
    static let lengthLimit = 32

    /// Nil where the text is not of the form `pattern` or longer than 32 characters.
    public init?(_ text: String) {
        guard text.utf8.count <= Self.lengthLimit else { return nil }
        var rest = text.utf8[...]
        var milliseconds = 0
        repeat {
            let digits = rest.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
            guard (1...9).contains(digits.count), let count = Int(Substring(digits)) else { return nil }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 }
            rest = rest.dropFirst(unit.count)
            let scale: Int
            switch String(Substring(unit)) {
            case "ms": scale = 1
            case "s": scale = 1000
            case "m": scale = 60_000
            case "h": scale = 3_600_000
            default: return nil
            }
            // Nine digits of hours are 3.6e15 ms, and the length allows three such numbers: this can't overflow.
            milliseconds += count * scale
        } while !rest.isEmpty
        self.text = text
        self.duration = .milliseconds(milliseconds)
    }
}

extension DurationText: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = DurationText(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "is not a duration such as 15m")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// An object's uid in as little memory as it takes: tens of thousands are held.

enum ObjectUID: Sendable, Hashable {
    /// A lower-case UUID, which every API server makes.
    case uuid(UInt64, UInt64)
    /// Whatever else a server may call an object.
    case other(String)

    init(_ text: String) {
        self = Self.parsed(text).map { .uuid($0, $1) } ?? .other(text)
    }

    /// The text that it was made of.
    var text: String {
        guard case .uuid(let high, let low) = self else {
            guard case .other(let text) = self else { return "" }
            return text
        }
        let digits = HexText.of(high) + HexText.of(low)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { text.append("-") }
            text.append(digit)
        }
        return text
    }

    private static func parsed(_ text: String) -> (UInt64, UInt64)? {
        guard text.utf8.count == 36 else { return nil }
        var halves: (UInt64, UInt64) = (0, 0)
        var digits = 0
        for (index, character) in text.utf8.enumerated() {
            if [8, 13, 18, 23].contains(index) {
                guard character == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let digit = HexText.digit(character) else { return nil }
            if digits < 16 { halves.0 = halves.0 << 4 | digit } else { halves.1 = halves.1 << 4 | digit }
            digits += 1
        }
        return halves
    }
}

/// Sixteen lower-case hexadecimal digits.
enum HexText {
    static func of(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// Nil where the text is not of that form.
    static func value(_ text: String) -> UInt64? {
        guard text.utf8.count == 16 else { return nil }
        var value: UInt64 = 0
        for character in text.utf8 {
            guard let digit = digit(character) else { return nil }
            value = value << 4 | digit
        }
        return value
    }

    static func digit(_ character: UInt8) -> UInt64? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(character - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(character - UInt8(ascii: "a")) + 10
        default: nil
        }
    }
}

/// Resolves the escapes of JSON's strings, surrogate pairs included.
enum JSONEscape {
    /// Appends what the escape at `position` stands for; answers the position after it.
    static func append(
        _ bytes: [UInt8], at position: Int, repairsSurrogates: Bool, to text: inout [UInt8]
    ) throws(JSONError) -> Int {
        guard position + 1 < bytes.count else { throw JSONError(.unexpectedEnd, offset: bytes.count) }
        switch bytes[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(bytes[position + 1])
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            let (scalar, end) = try scalar(bytes, at: position)
            guard let scalar = scalar ?? (repairsSurrogates ? "\u{FFFD}" : nil) else {
                throw JSONError(.invalidText, offset: position)
            }
            text.append(contentsOf: scalar.utf8)
            return end
        default: throw JSONError(.invalidEscape, offset: position)
        }
        return position + 2
    }

    /// The scalar of one `\u` escape or of a pair of them, nil for half a pair, and the position after it.
    private static func scalar(
        _ bytes: [UInt8], at position: Int
    ) throws(JSONError) -> (Unicode.Scalar?, end: Int) {
        let first = try codeUnit(bytes, at: position + 2)
        let end = position + 6
        guard (0xD800...0xDBFF).contains(first), end + 1 < bytes.count, bytes[end] == UInt8(ascii: "\\"),
            bytes[end + 1] == UInt8(ascii: "u")
        else { return (Unicode.Scalar(UInt32(first)), end) }
        let second = try codeUnit(bytes, at: end + 2)
        guard (0xDC00...0xDFFF).contains(second) else { return (nil, end) }
        let offset = (UInt32(first) - 0xD800) << 10 + UInt32(second) - 0xDC00
        return (Unicode.Scalar(0x10000 + offset), end + 6)
    }

    private static func codeUnit(_ bytes: [UInt8], at position: Int) throws(JSONError) -> UInt16 {
        guard position + 4 <= bytes.count else { throw JSONError(.unexpectedEnd, offset: bytes.count) }
        var unit: UInt16 = 0
        for byte in bytes[position..<position + 4] {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw JSONError(.invalidEscape, offset: position)
            }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }
}

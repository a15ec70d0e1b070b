/// Writes a JSON value in its one canonical form: sorted keys, no white space, the same bytes every time.

extension JSONValue {
    /// The value as UTF-8. A number that is not finite, which no JSON text can give, is written as null.
    public func bytes() -> [UInt8] {
        var writer = JSONByteWriter()
        writer.write(self)
        return writer.bytes
    }

    /// The value without members and entries that are null. Server-side apply refuses null for most fields.
    public func withoutNulls() -> JSONValue {
        switch self {
        case .array(let items):
            .array(items.filter { $0 != .null }.map { $0.withoutNulls() })
        case .object(let members):
            .object(members.filter { $0.value != .null }.mapValues { $0.withoutNulls() })
        default: self
        }
    }
}

private struct JSONByteWriter {
    var bytes: [UInt8] = []

    private static let hexadecimal = Array("0123456789abcdef".utf8)

    mutating func write(_ value: JSONValue) {
        switch value {
        case .null: append("null")
        case .bool(let value): append(value ? "true" : "false")
        case .integer(let value): append(String(value))
        case .number(let value): append(value.isFinite ? value.description : "null")
        case .string(let text): write(text)
        case .array(let items):
            bytes.append(UInt8(ascii: "["))
            for (index, item) in items.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                write(item)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                write(member.key)
                bytes.append(UInt8(ascii: ":"))
                write(member.value)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func write(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case UInt8(ascii: "\n"): append("\\n")
            case UInt8(ascii: "\r"): append("\\r")
            case UInt8(ascii: "\t"): append("\\t")
            case 0..<0x20:
                append("\\u00")
                bytes.append(Self.hexadecimal[Int(byte >> 4)])
                bytes.append(Self.hexadecimal[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

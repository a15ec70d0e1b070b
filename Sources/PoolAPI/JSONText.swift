/// Reads JSON text as values: strict, bounded in depth, and without the cost of a decoder that tries one type after another.

/// Why a text is no JSON; it has no more to say, for it comes from machines.
struct JSONTextError: Error, Equatable {
    /// Bytes before the place where the text went wrong.
    let offset: Int
}

struct JSONText {
    /// Objects and lists within each other; as the reader of YAML has it.
    static let depthLimit = 64

    private let bytes: [UInt8]
    private var position = 0

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The value of a whole text in UTF-8. Of two members of one name the last counts.
    static func value(of bytes: [UInt8]) throws(JSONTextError) -> JSONValue {
        var reader = JSONText(bytes)
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.position == bytes.count else { throw reader.error }
        return value
    }

    private var error: JSONTextError { JSONTextError(offset: position) }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
    }

    private mutating func skip(_ byte: UInt8) throws(JSONTextError) {
        guard next == byte else { throw error }
        position += 1
    }

    private mutating func skip(_ word: StaticString) throws(JSONTextError) {
        for index in 0..<word.utf8CodeUnitCount { try skip(word.utf8Start[index]) }
    }

    private mutating func value(depth: Int) throws(JSONTextError) -> JSONValue {
        guard depth <= Self.depthLimit else { throw error }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return .object(try object(depth: depth))
        case UInt8(ascii: "["): return .array(try array(depth: depth))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"):
            try skip("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try skip("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try skip("null")
            return .null
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws(JSONTextError) -> [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        position += 1
        skipSpace()
        if next == UInt8(ascii: "}") {
            position += 1
            return members
        }
        while true {
            skipSpace()
            let name = try string()
            skipSpace()
            try skip(UInt8(ascii: ":"))
            members[name] = try value(depth: depth + 1)
            skipSpace()
            if next == UInt8(ascii: ",") {
                position += 1
            } else {
                try skip(UInt8(ascii: "}"))
                return members
            }
        }
    }

    private mutating func array(depth: Int) throws(JSONTextError) -> [JSONValue] {
        var items: [JSONValue] = []
        position += 1
        skipSpace()
        if next == UInt8(ascii: "]") {
            position += 1
            return items
        }
        while true {
            items.append(try value(depth: depth + 1))
            skipSpace()
            if next == UInt8(ascii: ",") {
                position += 1
            } else {
                try skip(UInt8(ascii: "]"))
                return items
            }
        }
    }

    private mutating func string() throws(JSONTextError) -> String {
        try skip(UInt8(ascii: "\""))
        let start = position
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 {
            position += 1
        }
        if next == UInt8(ascii: "\"") {
            // Most strings have no escape, and are copied once.
            guard let text = String(validating: bytes[start..<position], as: UTF8.self) else { throw error }
            position += 1
            return text
        }
        var unescaped = Array(bytes[start..<position])
        while let byte = next, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw error }
            position += 1
            if byte == UInt8(ascii: "\\") {
                try escape(into: &unescaped)
            } else {
                unescaped.append(byte)
            }
        }
        try skip(UInt8(ascii: "\""))
        guard let text = String(validating: unescaped, as: UTF8.self) else { throw error }
        return text
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONTextError) {
        guard let byte = next else { throw error }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if 0xd800..<0xdc00 ~= code {
                try skip("\\u")
                let low = try hexadecimal()
                guard 0xdc00..<0xe000 ~= low else { throw error }
                code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw error }
            text.append(contentsOf: String(scalar).utf8)
        default: throw error
        }
    }

    private mutating func hexadecimal() throws(JSONTextError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw error
            }
            code = code << 4 + UInt32(digit)
            position += 1
        }
        return code
    }

    private mutating func number() throws(JSONTextError) -> JSONValue {
        let start = position
        if next == UInt8(ascii: "-") { position += 1 }
        let digits = position
        try skipDigits()
        guard position == digits + 1 || bytes[digits] != UInt8(ascii: "0") else { throw error }
        var isWhole = true
        if next == UInt8(ascii: ".") {
            isWhole = false
            position += 1
            try skipDigits()
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            isWhole = false
            position += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
            try skipDigits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole, let integer = Int(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite else { throw error }
        return .number(number)
    }

    /// One digit or more.
    private mutating func skipDigits() throws(JSONTextError) {
        let start = position
        while let byte = next, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { position += 1 }
        guard position > start else { throw error }
    }
}

extension JSONValue {
    /// The value of a whole JSON text; nil where it is none.
    public init?(json text: String) {
        guard let value = try? JSONText.value(of: Array(text.utf8)) else { return nil }
        self = value
    }
}

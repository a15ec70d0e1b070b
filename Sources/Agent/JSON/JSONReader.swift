/// A strict pull reader of JSON (RFC 8259) over bytes: callers take the fields they need and skip the rest,
/// no tree is built.
///
///     var reader = JSONReader(bytes)
///     try reader.beginObject()
///     while let key = try reader.nextKey() {
///         switch key {
///         case "name": name = try reader.readString()
///         case "tags":
///             try reader.beginArray()
///             while try reader.nextElement() { tags.append(try reader.readString()) }
///         default: try reader.skipValue()
///         }
///     }
///     try reader.finish()
///
/// After `nextKey` answered a key, and after `nextElement` answered true, exactly one value must be read or
/// skipped. A container that was begun is read to its end: until `nextKey` answers nil, `nextElement` false.
/// What is skipped is checked as strictly as what is read. A value type: a copy is a bookmark that reads on
/// independently.
public struct JSONReader: Sendable {
    /// What the next value is, by its first character.
    public enum Kind: Sendable {
        case object, array, string, number, bool, null
    }

    let bytes: [UInt8]
    /// The next byte to look at, from the start of `bytes`.
    public private(set) var offset: Int
    private let depthLimit: Int
    private let repairsSurrogates: Bool
    private var depth = 0
    /// No member of the innermost open container has been read yet, so none needs a comma before it.
    private var atContainerStart = false

    /// - Parameters:
    ///   - depthLimit: containers that may be open at once.
    ///   - repairsSurrogates: an escape that names half a surrogate pair is read as U+FFFD instead of an
    ///     error; for model servers that cut a character in two between chunks.
    public init(_ bytes: [UInt8], depthLimit: Int = 64, repairsSurrogates: Bool = false) {
        self.bytes = bytes
        self.offset = 0
        self.depthLimit = depthLimit
        self.repairsSurrogates = repairsSurrogates
    }

    public init(_ text: String, depthLimit: Int = 64, repairsSurrogates: Bool = false) {
        self.init(Array(text.utf8), depthLimit: depthLimit, repairsSurrogates: repairsSurrogates)
    }

    /// The kind of the next value, which stays unread.
    public mutating func peek() throws(JSONError) -> Kind {
        switch try nextByte() {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw JSONError(.expected("a value"), offset: offset)
        }
    }

    // MARK: Containers

    public mutating func beginObject() throws(JSONError) {
        try open(UInt8(ascii: "{"), "an object")
    }

    public mutating func beginArray() throws(JSONError) {
        try open(UInt8(ascii: "["), "an array")
    }

    /// The next member's name, or nil at the object's end.
    public mutating func nextKey() throws(JSONError) -> String? {
        guard try advance(toMemberBefore: UInt8(ascii: "}"), or: "',' or '}'") else { return nil }
        guard try nextByte() == UInt8(ascii: "\"") else {
            throw JSONError(.expected("a member's name"), offset: offset)
        }
        let key = try readString()
        try takeColon()
        return key
    }

    /// Whether another element follows; false closes the array.
    public mutating func nextElement() throws(JSONError) -> Bool {
        try advance(toMemberBefore: UInt8(ascii: "]"), or: "',' or ']'")
    }

    // MARK: Scalars

    public mutating func readString() throws(JSONError) -> String {
        guard try nextByte() == UInt8(ascii: "\"") else {
            throw JSONError(.expected("a string"), offset: offset)
        }
        let start = offset + 1
        var end = start
        while end < bytes.count {
            let byte = bytes[end]
            if byte == UInt8(ascii: "\"") {
                let text = try Self.text(bytes.span.extracting(start..<end), from: start)
                offset = end + 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try readEscapedString(from: start, firstEscape: end) }
            if byte < 0x20 { throw JSONError(.invalidEscape, offset: end) }
            end += 1
        }
        throw JSONError(.unexpectedEnd, offset: bytes.count)
    }

    public mutating func readBool() throws(JSONError) -> Bool {
        switch try nextByte() {
        case UInt8(ascii: "t"):
            try take(literal: "true")
            return true
        case UInt8(ascii: "f"):
            try take(literal: "false")
            return false
        default: throw JSONError(.expected("true or false"), offset: offset)
        }
    }

    /// Reads a null if one is next. False leaves the value unread.
    public mutating func readNull() throws(JSONError) -> Bool {
        guard try nextByte() == UInt8(ascii: "n") else { return false }
        try take(literal: "null")
        return true
    }

    /// A whole number, in whatever spelling: `7`, `7.0`, `70e-1`.
    public mutating func readInt() throws(JSONError) -> Int {
        let (number, start) = try readNumber()
        guard let whole = number.integer(in: bytes) else { throw JSONError(.invalidNumber, offset: start) }
        return whole
    }

    /// The nearest double; a number beyond every double is an error.
    public mutating func readDouble() throws(JSONError) -> Double {
        let (number, start) = try readNumber()
        guard let double = number.double(in: bytes) else { throw JSONError(.invalidNumber, offset: start) }
        return double
    }

    // MARK: Whole values

    /// Passes over the next value of any kind.
    public mutating func skipValue() throws(JSONError) {
        switch try peek() {
        case .object:
            try beginObject()
            while try skipKey() { try skipValue() }
        case .array:
            try beginArray()
            while try nextElement() { try skipValue() }
        case .string: try skipString()
        case .number: _ = try readNumber()
        case .bool: _ = try readBool()
        case .null: _ = try readNull()
        }
    }

    /// The bytes of the next value as they stand in the text, checked; for what is passed on unread.
    public mutating func readRaw() throws(JSONError) -> ArraySlice<UInt8> {
        _ = try nextByte()
        let start = offset
        try skipValue()
        return bytes[start..<offset]
    }

    /// The next value's text without the white space between its tokens: one line, whatever it was written in.
    public mutating func readCompact() throws(JSONError) -> [UInt8] {
        var compact: [UInt8] = []
        var (isInString, isEscaped) = (false, false)
        for byte in try readRaw() {
            if !isInString, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { continue }
            compact.append(byte)
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isInString.toggle()
            }
        }
        return compact
    }

    /// Checks that nothing but white space is left.
    public mutating func finish() throws(JSONError) {
        skipSpace()
        guard offset == bytes.count else { throw JSONError(.trailingText, offset: offset) }
    }
}

extension JSONReader {
    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return
            }
        }
    }

    /// The next byte that is not white space, which stays unread.
    private mutating func nextByte() throws(JSONError) -> UInt8 {
        skipSpace()
        guard offset < bytes.count else { throw JSONError(.unexpectedEnd, offset: bytes.count) }
        return bytes[offset]
    }

    private mutating func open(_ bracket: UInt8, _ name: String) throws(JSONError) {
        guard try nextByte() == bracket else { throw JSONError(.expected(name), offset: offset) }
        guard depth < depthLimit else { throw JSONError(.tooDeep(limit: depthLimit), offset: offset) }
        depth += 1
        offset += 1
        atContainerStart = true
    }

    private mutating func advance(toMemberBefore closer: UInt8, or wanted: String) throws(JSONError) -> Bool {
        let byte = try nextByte()
        if byte == closer {
            offset += 1
            depth -= 1
            atContainerStart = false
            return false
        }
        if atContainerStart {
            atContainerStart = false
            return true
        }
        guard byte == UInt8(ascii: ",") else { throw JSONError(.expected(wanted), offset: offset) }
        offset += 1
        guard try nextByte() != closer else {
            throw JSONError(.expected("a value after ','"), offset: offset)
        }
        return true
    }

    /// As `nextKey`, but makes no text of the name.
    private mutating func skipKey() throws(JSONError) -> Bool {
        guard try advance(toMemberBefore: UInt8(ascii: "}"), or: "',' or '}'") else { return false }
        guard try nextByte() == UInt8(ascii: "\"") else {
            throw JSONError(.expected("a member's name"), offset: offset)
        }
        try skipString()
        try takeColon()
        return true
    }

    private mutating func takeColon() throws(JSONError) {
        guard try nextByte() == UInt8(ascii: ":") else { throw JSONError(.expected("':'"), offset: offset) }
        offset += 1
    }

    /// Passes over a string; only one that isn't plain ASCII has to be read to be checked.
    private mutating func skipString() throws(JSONError) {
        var end = offset + 1
        while end < bytes.count {
            switch bytes[end] {
            case UInt8(ascii: "\""):
                offset = end + 1
                return
            case UInt8(ascii: "\\"), 0..<0x20, 0x80...:
                _ = try readString()
                return
            default: end += 1
            }
        }
        throw JSONError(.unexpectedEnd, offset: bytes.count)
    }

    private mutating func take(literal: StaticString) throws(JSONError) {
        let end = offset + literal.utf8CodeUnitCount
        guard end <= bytes.count else { throw JSONError(.unexpectedEnd, offset: bytes.count) }
        let equal = literal.withUTF8Buffer { $0.elementsEqual(bytes[offset..<end]) }
        guard equal else { throw JSONError(.expected("\(literal)"), offset: offset) }
        offset = end
    }

    private mutating func readNumber() throws(JSONError) -> (JSONNumber, start: Int) {
        guard try peek() == .number else { throw JSONError(.expected("a number"), offset: offset) }
        let start = offset
        guard let number = JSONNumber(scanning: bytes, from: start) else {
            throw JSONError(.invalidNumber, offset: start)
        }
        offset = number.range.upperBound
        return (number, start)
    }

    /// Not by `String(validating:as:)`, which is generic: it doubled the time that a chunk takes.
    private static func text(_ bytes: Span<UInt8>, from start: Int) throws(JSONError) -> String {
        do {
            return String(copying: try UTF8Span(validating: bytes))
        } catch {
            throw JSONError(.invalidText, offset: start)
        }
    }

    /// The slow path of `readString`: copies run by run and resolves escapes.
    private mutating func readEscapedString(from start: Int, firstEscape: Int) throws(JSONError) -> String {
        var text = Array(bytes[start..<firstEscape])
        var position = firstEscape
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                let string = try Self.text(text.span, from: start)
                offset = position + 1
                return string
            case UInt8(ascii: "\\"):
                position = try JSONEscape.append(
                    bytes, at: position, repairsSurrogates: repairsSurrogates, to: &text)
            case 0..<0x20:
                throw JSONError(.invalidEscape, offset: position)
            default:
                text.append(byte)
                position += 1
            }
        }
        throw JSONError(.unexpectedEnd, offset: bytes.count)
    }
}

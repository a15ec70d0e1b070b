/// Why a text is not the JSON that was expected, and where.
public struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Reason: Equatable, Sendable {
        /// The text ends inside a value.
        case unexpectedEnd
        /// Something else stands where this was expected: "a string", "',' or '}'".
        case expected(String)
        /// Containers are nested deeper than the reader's limit.
        case tooDeep(limit: Int)
        /// The bytes are not UTF-8, or an escape names half a surrogate pair.
        case invalidText
        /// A raw control character inside a string, or an unknown escape.
        case invalidEscape
        /// A number that breaks JSON's grammar or that the wanted type can't hold.
        case invalidNumber
        /// More text after the value that should have been the last.
        case trailingText
    }

    public var reason: Reason
    /// Bytes from the start of the text.
    public var offset: Int

    public init(_ reason: Reason, offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    /// A sentence fragment that is safe to show to the sender: it never quotes the text.
    public var description: String {
        let what =
            switch reason {
            case .unexpectedEnd: "the text ends in the middle of a value"
            case .expected(let thing): "expected \(thing)"
            case .tooDeep(let limit): "nested deeper than \(limit) levels"
            case .invalidText: "not valid UTF-8 text"
            case .invalidEscape: "an invalid escape or a raw control character in a string"
            case .invalidNumber: "not a number, or one out of range"
            case .trailingText: "more text after the end of the value"
            }
        return "\(what) at byte \(offset)"
    }
}

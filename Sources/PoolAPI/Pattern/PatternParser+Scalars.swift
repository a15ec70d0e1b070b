/// Reads the parts of a regular expression that take one scalar: brackets, classes and escapes.
extension PatternParser {
    private static let nestedBrackets = PatternError(
        message: "brackets in brackets are not supported; write \\[ for the character")
    private static let setOperation = PatternError(
        message: "set operations in brackets are not supported")

    /// What follows an opening bracket.
    mutating func bracket() throws(PatternError) -> ScalarSet {
        var set = ScalarSet()
        let isNegated = take("^")
        var isEmpty = true
        while true {
            guard let scalar = take() else { throw PatternError(message: "a [ is not closed") }
            if scalar == "]" { break }
            isEmpty = false
            if scalar == "[" { throw Self.nestedBrackets }
            if peek == scalar, ["&", "-", "~"].contains(scalar) { throw Self.setOperation }
            if scalar == "\\", let (members, isNegated) = try takeClass() {
                if peeksRange {
                    throw PatternError(message: "a class can't bound a range")
                }
                set.insert(members, isNegated: isNegated)
                continue
            }
            let lower = scalar == "\\" ? try escapedScalar(inBracket: true) : scalar
            let upper = try takeUpperBound() ?? lower
            guard lower.value <= upper.value else { throw PatternError(message: "a range runs backwards") }
            set.insert(lower.value...upper.value, ignoresCase: flags.ignoresCase)
        }
        guard !isEmpty else {
            throw PatternError(message: "brackets hold nothing; write \\] for the character")
        }
        return isNegated ? set.inverted : set
    }

    /// The end of a range, where a hyphen follows that doesn't close the bracket.
    private mutating func takeUpperBound() throws(PatternError) -> Unicode.Scalar? {
        guard peeksRange, take("-"), let scalar = take() else { return nil }
        switch scalar {
        case "-": throw Self.setOperation
        case "[": throw Self.nestedBrackets
        case "\\":
            if try takeClass() != nil { throw PatternError(message: "a class can't bound a range") }
            return try escapedScalar(inBracket: true)
        default: return scalar
        }
    }

    mutating func takeAssertion() -> PatternAssertion? {
        let known: [(String, PatternAssertion)] = [
            ("b", .wordBoundary), ("B", .noWordBoundary), ("A", .textStart), ("z", .textEnd),
            ("Z", .lastLineEnd),
        ]
        return known.first { take($0.0) }?.1
    }

    /// What follows a backslash outside of brackets.
    mutating func escape() throws(PatternError) -> ScalarSet {
        if let (members, isNegated) = try takeClass() { return ScalarSet(members, isNegated: isNegated) }
        return ScalarSet(try escapedScalar(inBracket: false), ignoresCase: flags.ignoresCase)
    }

    private mutating func takeClass() throws(PatternError) -> (ScalarClass, isNegated: Bool)? {
        let known: [(String, ScalarClass)] = [("d", .digit), ("w", .word), ("s", .whitespace)]
        for (letter, members) in known {
            if take(letter) { return (members, false) }
            if take(letter.uppercased()) { return (members, true) }
        }
        let isNegated = peek == "P"
        guard take("p{") || take("P{") else { return nil }
        var name = ""
        while let scalar = take(), scalar != "}" { name.unicodeScalars.append(scalar) }
        guard let members = ScalarClass(property: name) else {
            throw PatternError(message: "the property \\p{\(name)} is not supported")
        }
        return (members, isNegated)
    }

    private mutating func escapedScalar(inBracket: Bool) throws(PatternError) -> Unicode.Scalar {
        guard let scalar = take() else { throw PatternError(message: "a \\ stands at the end") }
        switch scalar {
        case "n": return "\n"
        case "t": return "\t"
        case "r": return "\r"
        case "f": return "\u{0C}"
        case "e": return "\u{1B}"
        case "a": return "\u{07}"
        case "b" where inBracket: return "\u{08}"
        case "0":
            if let next = peek, ("0"..."9").contains(next) {
                throw PatternError(message: "octal escapes are not supported; write \\x{1F}")
            }
            return "\0"
        case "x": return try hexadecimal(digits: 2)
        case "u": return try hexadecimal(digits: 4)
        case "1"..."9", "k": throw PatternError(message: "backreferences are not supported")
        default:
            guard scalar.isASCII, !ScalarClass.word.contains(scalar) || scalar == "_" else {
                throw PatternError(message: "the escape \\\(scalar) is not supported")
            }
            return scalar
        }
    }

    private mutating func hexadecimal(digits count: Int) throws(PatternError) -> Unicode.Scalar {
        var digits = ""
        if take("{") {
            while let scalar = take(), scalar != "}" { digits.unicodeScalars.append(scalar) }
        } else {
            while digits.count < count, let scalar = take() { digits.unicodeScalars.append(scalar) }
            if digits.count < count { digits = "" }
        }
        guard digits.allSatisfy(\.isHexDigit), digits.utf8.count == digits.count,
            let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value)
        else { throw PatternError(message: "a hexadecimal escape names no Unicode scalar") }
        return scalar
    }
}

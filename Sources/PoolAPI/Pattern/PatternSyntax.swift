/// What a regular expression says, as a tree that nests no deeper than its groups do.

/// Why a text is no pattern, in plain words.
public struct PatternError: Error, Equatable {
    public let message: String
}

/// A part of a regular expression. Groups leave no trace: nobody asks for what they captured.
indirect enum PatternNode: Sendable {
    case scalars(ScalarSet)
    case assertion(PatternAssertion)
    case sequence([PatternNode])
    /// The first that leads to a match wins.
    case alternation([PatternNode])
    /// - Parameter most: nil for any number.
    case repetition(PatternNode, least: Int, most: Int?, isLazy: Bool)

    /// Whether it can match without reading a scalar.
    var isNullable: Bool {
        switch self {
        case .scalars: false
        case .assertion: true
        case .sequence(let parts): parts.allSatisfy(\.isNullable)
        case .alternation(let branches): branches.contains(where: \.isNullable)
        case .repetition(let part, let least, _, _): least == 0 || part.isNullable
        }
    }
}

/// A condition on a place between two scalars.
enum PatternAssertion: Sendable {
    case textStart
    case textEnd
    /// `\Z`: the text's end, or just before a line end that closes it.
    case lastLineEnd
    case lineStart
    case lineEnd
    case wordBoundary
    case noWordBoundary

    /// - Parameters:
    ///   - before: the scalar that ends at the place, nil at the text's start.
    ///   - after: the scalar that begins there, nil at the text's end.
    ///   - isAfterLast: whether that scalar closes the text.
    func holds(before: Unicode.Scalar?, after: Unicode.Scalar?, isAfterLast: Bool) -> Bool {
        switch self {
        case .textStart: before == nil
        case .textEnd: after == nil
        case .lastLineEnd: after.map { isAfterLast && ScalarClass.lineEnd.contains($0) } ?? true
        case .lineStart: before.map(ScalarClass.lineEnd.contains) ?? true
        case .lineEnd: after.map(ScalarClass.lineEnd.contains) ?? true
        case .wordBoundary: Self.isWord(before) != Self.isWord(after)
        case .noWordBoundary: Self.isWord(before) == Self.isWord(after)
        }
    }

    private static func isWord(_ scalar: Unicode.Scalar?) -> Bool {
        scalar.map(ScalarClass.word.contains) ?? false
    }
}

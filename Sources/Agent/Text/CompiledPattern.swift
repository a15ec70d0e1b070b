/// A regular expression of the manifest, compiled once and shared by all turns.

struct CompiledPattern: Sendable {
    // Safe to share: a Regex made from text holds no closures, and its program is compiled before it is shared.
    nonisolated(unsafe) private let regex: Regex<AnyRegexOutput>

    /// - Throws: where the text is no pattern in the syntax of Swift's `Regex`.
    init(_ text: String) throws {
        regex = try Regex(text)
        // The first match compiles the pattern's program; from then on matching only reads it.
        _ = "".contains(regex)
    }

    func isFound(in text: String) -> Bool { text.contains(regex) }

    /// Where it is found, in the text's order; matches of nothing are left out.
    func ranges(in text: String) -> [Range<String.Index>] {
        text.matches(of: regex).map(\.range).filter { !$0.isEmpty }
    }
}

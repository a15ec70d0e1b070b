/// A regular expression whose matches are found in time linear in the text, compiled once and shared by all turns.

/// Matched by Unicode scalars: `.` takes one scalar, and é written as e and an accent is two.
///
/// The first match wins, and of those that begin at one place the one that a backtracking matcher would find first.
public struct LinearPattern: Sendable {
    /// How many times the text is read again before one sweep is cheaper than to go on.
    private static let maximumReadAhead = 8

    private let program: PatternProgram

    /// - Throws: what is wrong with the pattern.
    public init(_ text: String) throws(PatternError) {
        program = try PatternProgram(try PatternParser.parse(text))
    }

    public func isFound(in text: String) -> Bool {
        Self.withScalars(of: text) { text in
            var search = PatternSearch(program, in: text)
            return search.firstMatch(from: 0, anyWillDo: true) != nil
        }
    }

    /// Where it is found, in the text's order and without overlaps; matches of nothing are left out.
    public func ranges(in text: String) -> [Range<String.Index>] {
        let ranges = Self.withScalars(of: text) { self.ranges(in: $0) }
        func index(_ offset: Int) -> String.Index { text.utf8.index(text.startIndex, offsetBy: offset) }
        return ranges.map { index($0.lowerBound)..<index($0.upperBound) }
    }

    private func ranges(in text: ScalarText) -> [Range<Int>] {
        var search = PatternSearch(program, in: text)
        var sweep: PatternSweep?
        var ranges: [Range<Int>] = []
        var place = 0
        var readAhead = 0
        func next() -> Range<Int>? {
            if let sweep { return sweep.firstMatch(from: place) }
            let match = search.firstMatch(from: place)
            readAhead += search.reach - (match?.upperBound ?? search.reach)
            return match
        }
        while let match = next() {
            place = match.upperBound
            // What was read past a match is read once more for the next.
            if sweep == nil, readAhead > Self.maximumReadAhead * text.count {
                sweep = PatternSweep(program, in: text, from: place)
            }
            if !match.isEmpty {
                ranges.append(match)
            } else if place < text.count {
                place = text.scalar(at: place).end
            } else {
                break
            }
        }
        return ranges
    }

    private static func withScalars<Result>(of text: String, _ body: (ScalarText) -> Result) -> Result {
        var text = text
        return text.withUTF8 { body(ScalarText(bytes: $0)) }
    }
}

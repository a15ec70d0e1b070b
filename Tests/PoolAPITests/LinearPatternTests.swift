/// Patterns find what Swift's `Regex` finds, by scalars, and in time that no text can blow up.
import Testing

@testable import PoolAPI

@Suite struct LinearPatternTests {
    /// What is found, as texts.
    private static func found(_ pattern: String, _ text: String) throws -> [String] {
        try LinearPattern(pattern).ranges(in: text).map { String(text[$0]) }
    }
}

// MARK: Syntax

extension LinearPatternTests {
    @Test(
        "Patterns find what they say",
        arguments: [
            ("a{,2}", "aaa", ["aa", "a"]), ("a{ 2, 3 }", "aaaa", ["aaa"]),
            ("a{,}|{", "a{,}{", ["a{,}", "{"]),
            ("(?<year>[0-9]{4})-(?P<month>[0-9]{2})", "on 2024-05", ["2024-05"]), ("", "ab", []),
            (#"\.\\\/\n\t\x41\x{1F600}\u00e9\u{4E2D}"#, ".\\/\n\tA\u{1F600}é中", [".\\/\n\tA\u{1F600}é中"]),
            (#"\f\e\a\0[\b]"#, "\u{0C}\u{1B}\u{07}\0\u{08}", ["\u{0C}\u{1B}\u{07}\0\u{08}"]),
            ("[-a]+", "a-b", ["a-"]), ("[a-]+", "a-b", ["a-"]), (#"[\]^]+"#, "]^", ["]^"]),
            ("a]}", "a]}", ["a]}"]),
            (".", "\n\r\u{85}\u{2028}x", ["x"]), ("(?s)a.b", "a\nb", ["a\nb"]), ("(?m)^b$", "a\nb\nc", ["b"]),
            ("^b$", "a\nb\nc", []), (#"a\Z"#, "a\n", ["a"]), (#"a\z"#, "a\n", []), ("a|ab", "ab", ["a"]),
            ("a(?i)b|c", "aBC", ["aB", "C"]), ("(a(?i)b)c", "aBcaBC", ["aBc"]), ("(?i:É)é", "éé", ["éé"]),
            ("(?i)[^a]", "Aab", ["b"]), ("(?i)k", "\u{212A}K", ["\u{212A}", "K"]),
            (#"\p{Sc}\P{N}"#, "€x€1", ["€x"]),
            (#"\p{Han}+"#, "a中文。", ["中文"]), (#"\d+"#, "1٢3", ["1٢3"]), ("<.+?>", "<a><b>", ["<a>", "<b>"]),
            (#"\bcat\b"#, "cat concat cat's", ["cat", "cat"]), ("x*", "axxb", ["xx"]),
            ("(?m)(b?|^é)^a", "é\na", ["a"]),
            ("e\u{301}", "cafe\u{301}", ["e\u{301}"]),
        ])
    func table(pattern: String, text: String, expected: [String]) throws {
        #expect(try Self.found(pattern, text) == expected)
        #expect(try LinearPattern(pattern).isFound(in: text) == (!expected.isEmpty || pattern.isEmpty))
    }

    @Test(
        "What is no pattern, or none for linear time, is refused with the reason",
        arguments: [
            ("(a", "a group is not closed"), ("a)", "a ) closes no group"), ("[a", "a [ is not closed"),
            ("[]", #"brackets hold nothing; write \] for the character"#), ("*a", "* repeats nothing"),
            ("a**", "what is repeated already is repeated again"), ("^*", "an anchor is repeated"),
            ("a++", "possessive repetition is not supported"), ("(?>a)", "atomic groups are not supported"),
            ("(?=a)", "look-around is not supported"), ("(?<!a)", "look-around is not supported"),
            (#"(a)\1"#, "backreferences are not supported"), ("(?(1)a)", "conditionals are not supported"),
            ("(?x)a", "(?x is not supported; flags are i, s and m"),
            ("(?)", "(?) is not supported; flags are i, s and m"),
            ("(?<1>a)", "a group's name is not a word"), ("(?<n>a)(?<n>b)", #"two groups are named "n""#),
            ("[z-a]", "a range runs backwards"), (#"[a-\d]"#, "a class can't bound a range"),
            ("[a&&b]", "set operations in brackets are not supported"),
            ("[[:alpha:]]", #"brackets in brackets are not supported; write \[ for the character"#),
            (#"\p{Greek}"#, #"the property \p{Greek} is not supported"#),
            (#"\R"#, #"the escape \R is not supported"#),
            (#"\012"#, #"octal escapes are not supported; write \x{1F}"#), ("\\", #"a \ stands at the end"#),
            (#"\x{D800}"#, "a hexadecimal escape names no Unicode scalar"),
            ("a{3,2}", "a count's lower bound is above its upper bound"),
            ("a{1001}", "a count is above 1000"),
            ("(a{100}){100}", "the pattern is too large; count fewer repetitions"),
            (
                "(((((((((((((x*)*)*)*)*)*)*)*)*)*)*)*)*)*",
                "the pattern is too large; count fewer repetitions"
            ),
        ])
    func refused(pattern: String, reason: String) {
        #expect(throws: PatternError(message: reason)) { try LinearPattern(pattern) }
    }

    @Test("Groups nest as deep as the bound, and counts of nothing cost nothing")
    func bounds() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "(", count: depth) + "a" + String(repeating: ")", count: depth)
        }
        #expect(try Self.found(nested(64), "a") == ["a"])
        #expect(throws: PatternError(message: "groups are nested more than 64 deep")) {
            try LinearPattern(nested(65))
        }
        #expect(try Self.found("((((){1000}){1000}){1000}){1000}a", "a") == ["a"])
        #expect(try Self.found("(a{60}){60}", String(repeating: "a", count: 3700)).map(\.count) == [3600])
    }
}

// MARK: Time

extension LinearPatternTests {
    @Test(
        "No text holds a search up", .timeLimit(.minutes(1)),
        arguments: [
            ("(a+)+$", "a", "b", 0), ("(?i)order.*refund", "order ", "", 0),
            ("[A-Za-z0-9._-]+@[A-Za-z0-9.-]+", "a", "", 0),
            ("(x*)*y", "x", "", 0), ("a.*b|a", "a", "", 200_000), ("(?:a.*b)?", "a", "", 0),
            ("(a|a)*(a|a)*c", "a", "", 0),
        ])
    func linear(pattern: String, part: String, end: String, count: Int) throws {
        let text = String(repeating: part, count: 200_000 / part.utf8.count) + end
        #expect(try LinearPattern(pattern).ranges(in: text).count == count)
    }
}

// MARK: Against Swift's Regex

extension LinearPatternTests {
    /// Draws the same patterns every time.
    private struct Seeded {
        var random: SplitMix64

        init(state: UInt64) { random = SplitMix64(state: state) }

        mutating func one<Element>(of elements: [Element]) -> Element {
            elements[Int.random(in: 0..<elements.count, using: &random)]
        }

        mutating func pattern(depth: Int) -> String {
            let branches = (0..<one(of: [1, 1, 1, 2, 3])).map { _ in
                (0..<one(of: [0, 1, 1, 2, 2, 3, 4])).map { _ in part(depth: depth) }.joined()
            }
            return branches.joined(separator: "|")
        }

        private mutating func part(depth: Int) -> String {
            if one(of: [false, false, false, false, true]) {
                return one(of: [
                    "^", "$", #"\b"#, #"\B"#, #"\A"#, #"\z"#, #"\Z"#, "(?i)", "(?m)", "(?s)", "(?-i)",
                ])
            }
            let plain = [
                "a", "b", "A", "é", "中", ".", #"\n"#, "[ab]", "[^a]", "[a-c]", #"[^\n]"#, #"\w"#, #"\W"#,
                #"\s"#,
                #"\S"#, #"\d"#, #"\D"#, #"[\w中]"#, #"\p{L}"#, #"\p{Lu}"#, #"[^\W\d]"#, #"\x61"#, #"\u{4E2D}"#,
                "1",
            ]
            let opening = one(of: ["(", "(?:", "(?i:", "(?s-i:", "(?m:"])
            let isGroup = depth > 0 && one(of: [false, true])
            let atom = isGroup ? opening + pattern(depth: depth - 1) + ")" : one(of: plain)
            let counts = [
                "", "", "", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{2,}", "{,2}",
                "{1,}?", "{0}",
            ]
            return atom + one(of: counts)
        }
    }

    private static func unboundedRepetitions(in pattern: String) -> Int {
        pattern.count { $0 == "*" || $0 == "+" }
            + pattern.split(separator: ",}", omittingEmptySubsequences: false).count - 1
    }

    /// The ranges as the sweep finds them, to which a search turns in long texts alone.
    private static func swept(_ pattern: String, _ text: String) throws -> [Range<String.Index>] {
        let program = try PatternProgram(try PatternParser.parse(pattern))
        var text = text
        let ranges = text.withUTF8 { bytes in
            let scalars = ScalarText(bytes: bytes)
            let sweep = PatternSweep(program, in: scalars, from: 0)
            var ranges: [Range<Int>] = []
            var place = 0
            while place <= scalars.count, let match = sweep.firstMatch(from: place) {
                place = match.upperBound
                if !match.isEmpty {
                    ranges.append(match)
                } else {
                    place = place < scalars.count ? scalars.scalar(at: place).end : place + 1
                }
            }
            return ranges
        }
        func index(_ offset: Int) -> String.Index { text.utf8.index(text.startIndex, offsetBy: offset) }
        return ranges.map { index($0.lowerBound)..<index($0.upperBound) }
    }

    @Test("Random patterns find in random texts what Regex finds", arguments: UInt64(1)...8)
    func fuzzed(seed: UInt64) throws {
        var seeded = Seeded(state: seed)
        for _ in 0..<120 {
            var pattern = seeded.pattern(depth: 2)
            // More of them take Regex too long to wait for.
            while Self.unboundedRepetitions(in: pattern) > 2 { pattern = seeded.pattern(depth: 2) }
            let regex = try Regex(pattern).wordBoundaryKind(.simple)
            let linear = try LinearPattern(pattern)
            for _ in 0..<4 {
                let text = (0..<seeded.one(of: [0, 1, 3, 6, 8])).map { _ in
                    seeded.one(of: ["a", "a", "b", "c", "A", "é", "中", "\n", " ", "1", "B"])
                }.joined()
                let expected = text.matches(of: regex).map(\.range)
                let found = linear.ranges(in: text)
                try #require(
                    found == expected.filter { !$0.isEmpty },
                    "\(pattern.debugDescription) in \(text.debugDescription)")
                let swept = try Self.swept(pattern, text)
                try #require(swept == found, "\(pattern.debugDescription) in \(text.debugDescription)")
                try #require(
                    linear.isFound(in: text) == !expected.isEmpty,
                    "\(pattern.debugDescription) in \(text.debugDescription)")
            }
        }
    }
}

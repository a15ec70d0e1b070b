/// The search for a mark of a prompt injection as a value: characters go in, the first mark comes out. Its state has a fixed size.
struct InjectionScan {
    private typealias Part = InjectionVocabulary.Part

    /// Three parts of a phrase that stand near each other.
    private struct Phrase {
        let parts: (Part, Part, Part)
        /// How many words, or ideographs, the phrase may span.
        let reach: Int
        /// The first part comes first.
        let inOrder: Bool
        /// Where each was seen last.
        var first = -1000
        var second = -1000
        var third = -1000

        init(_ first: Part, _ second: Part, _ third: Part, reach: Int, inOrder: Bool) {
            parts = (first, second, third)
            self.reach = reach
            self.inOrder = inOrder
        }

        /// Whether the phrase is whole now.
        mutating func note(_ part: Part, at place: Int) -> Bool {
            if part.contains(parts.0) { first = place }
            if part.contains(parts.1) { second = place }
            if part.contains(parts.2) { third = place }
            guard !part.isDisjoint(with: parts.0.union(parts.1).union(parts.2)) else { return false }
            let start = min(first, second, third)
            return place - start <= reach && (!inOrder || first == start)
        }
    }

    private var wordPhrases: [(Phrase, InjectionMarker)] = [
        (Phrase(.override, .scope, .rules, reach: 7, inOrder: true), .override),
        (Phrase(.disclose, .own, .prompt, reach: 6, inOrder: true), .disclosure),
        (Phrase(.not, .tell, .listener, reach: 6, inOrder: true), .secrecy),
    ]
    private var pairPhrases: [(Phrase, InjectionMarker)] = [
        (Phrase(.override, .scope, .rules, reach: 16, inOrder: false), .override),
        (Phrase(.not, .tell, .listener, reach: 10, inOrder: true), .secrecy),
    ]

    private var word = WordHash()
    private var words = 0
    private var ideographs = 0
    private var lastIdeograph: UInt32 = 0
    /// Nothing but spaces and marks of quotation stood on the line yet.
    private var isLineStart = true
    /// The line begins with this word, which a colon would make a speaker's name.
    private var speaks = false
    private var tag: Tag?
    private var hidden = 0
    private var escape = Escape.none

    private static let longestWord = 24
    /// Flags of regions are written with up to six such characters, each flag behind one that is seen.
    private static let longestHidden = 8

    /// A tag that has begun.
    private struct Tag {
        var name: WordHash
        let closer: UInt8
        var hasBar = false
        /// A space stands before its name, as in a comparison.
        var hasGap = false
        var endsWithBar = false
        static let longest = 40
    }

    /// Texts of tools are JSON as a rule: a model reads its escapes as what they stand for.
    private enum Escape {
        case none, backslash
        case hex(left: Int, value: UInt32)
    }

    mutating func take(_ scalar: Unicode.Scalar) -> InjectionMarker? {
        switch escape {
        case .none:
            guard scalar == "\\" else { return feed(FoldedScalar(scalar)) }
            escape = .backslash
            return nil
        case .backslash:
            escape = .none
            switch scalar {
            case "n", "r": return feed(.lineEnd)
            case "t": return feed(.space)
            case "u":
                escape = .hex(left: 4, value: 0)
                return nil
            default: return feed(FoldedScalar(scalar))
            }
        case .hex(let left, let value):
            guard let digit = Character(scalar).hexDigitValue else {
                escape = .none
                return feed(FoldedScalar(scalar))
            }
            let sum = value << 4 | UInt32(digit)
            escape = left > 1 ? .hex(left: left - 1, value: sum) : .none
            // Halves of a surrogate pair stand for nothing that is searched for.
            guard left == 1, let decoded = Unicode.Scalar(sum) else { return nil }
            return feed(FoldedScalar(decoded))
        }
    }

    /// The text has ended.
    mutating func end() -> InjectionMarker? { endWord() }

    private mutating func feed(_ scalar: FoldedScalar) -> InjectionMarker? {
        switch scalar {
        case .invisible: return nil
        case .hidden(let byte):
            hidden += 1
            if hidden > Self.longestHidden { return .hiddenText }
            return byte == 0 ? nil : feed(byte)
        case .ascii(let byte):
            hidden = 0
            return feed(byte)
        case .space:
            return endWord() ?? endTagName()
        case .lineEnd:
            let marker = endWord()
            (isLineStart, speaks, tag) = (true, false, nil)
            return marker
        case .ideograph(let value):
            hidden = 0
            let marker = endWord()
            (isLineStart, speaks) = (false, false)
            defer { lastIdeograph = value }
            ideographs += 1
            let part = InjectionVocabulary.pairParts[InjectionVocabulary.key(lastIdeograph, value)]
            return marker ?? part.flatMap { Self.note($0, at: ideographs, in: &pairPhrases) }
        case .other:
            hidden = 0
            let marker = endWord()
            (isLineStart, speaks) = (false, false)
            return marker
        }
    }

    private mutating func feed(_ byte: UInt8) -> InjectionMarker? {
        if (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) {
            word.add(byte)
            if tag != nil { extendTag(byte) }
            return nil
        }
        if let marker = feedTag(byte) { return marker }
        switch byte {
        // Don't is one word.
        case UInt8(ascii: "'"), UInt8(ascii: "`"): return nil
        case UInt8(ascii: ":"):
            let marker = endWord()
            if speaks { return .roleLine }
            isLineStart = false
            return marker
        default:
            let marker = endWord()
            // "> **System**:" and "[system]:" begin with a speaker too; a member of an object, in quotation marks, does not.
            if !Self.isOrnament(byte) { (isLineStart, speaks) = (false, false) }
            return marker
        }
    }

    /// One of `*#>-_[]()</|~`. A switch, for it is asked at every mark of punctuation.
    private static func isOrnament(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x2A, 0x23, 0x3E, 0x2D, 0x5F, 0x5B, 0x5D, 0x28, 0x29, 0x3C, 0x2F, 0x7C, 0x7E: true
        default: false
        }
    }

    private mutating func endWord() -> InjectionMarker? {
        guard word.count > 0 else { return nil }
        let ended = word
        word = WordHash()
        words += 1
        let part = ended.count <= Self.longestWord ? InjectionVocabulary.parts[ended.value] : nil
        speaks = isLineStart && part?.contains(.role) == true
        isLineStart = false
        return part.flatMap { Self.note($0, at: words, in: &wordPhrases) }
    }

    private mutating func feedTag(_ byte: UInt8) -> InjectionMarker? {
        switch byte {
        case UInt8(ascii: "<"), UInt8(ascii: "["):
            if tag?.closer == UInt8(ascii: ">"), tag?.name.count == 1, byte == UInt8(ascii: "<") {
                tag?.name.add(byte)
            } else {
                let closer = byte == UInt8(ascii: "<") ? UInt8(ascii: ">") : UInt8(ascii: "]")
                tag = Tag(name: WordHash(CollectionOfOne(byte)), closer: closer)
            }
            return nil
        case UInt8(ascii: "/"):
            return nil
        case UInt8(ascii: "|"):
            guard var open = tag else { return nil }
            if open.name.count == 1 { open.hasBar = true } else { open.endsWithBar = open.hasBar }
            tag = open
            return nil
        case UInt8(ascii: ">"), UInt8(ascii: "]"):
            guard let open = tag, byte == open.closer else { return nil }
            tag = nil
            return open.endsWithBar ? .roleTag : Self.marker(of: open)
        default:
            extendTag(byte)
            return nil
        }
    }

    private mutating func extendTag(_ byte: UInt8) {
        tag?.name.add(byte)
        if let open = tag, open.name.count > Tag.longest { tag = nil }
    }

    /// Attributes follow, or no tag has begun at all.
    private mutating func endTagName() -> InjectionMarker? {
        guard let open = tag, !open.hasBar, !open.hasGap else { return nil }
        guard open.name.count > 1 else {
            tag?.hasGap = true
            return nil
        }
        tag = nil
        return Self.marker(of: open)
    }

    private static func marker(of tag: Tag) -> InjectionMarker? {
        var name = tag.name
        // Once, or twice as in <<SYS>>.
        for _ in 0..<2 {
            name.add(tag.closer)
            if InjectionVocabulary.quotationTags.contains(name.value) { return .quotationTag }
            if InjectionVocabulary.roleTags.contains(name.value) { return .roleTag }
        }
        return nil
    }

    private static func note(
        _ part: Part, at place: Int, in phrases: inout [(Phrase, InjectionMarker)]
    ) -> InjectionMarker? {
        for index in phrases.indices where phrases[index].0.note(part, at: place) { return phrases[index].1 }
        return nil
    }
}

/// Which terms a text is found by: words in lower case with English endings taken off, and runs of CJK as one and two characters.

enum Tokenizer {
    /// Bytes of a term, at most; the rest of a longer word is cut off.
    static let maximumTermBytes = 64

    /// The terms in their order, repeated as they occur.
    static func terms(_ text: String) -> [String] {
        var terms: [String] = []
        var word: [UInt8] = []
        var isPlain = true
        var previousIdeograph: Unicode.Scalar?
        func endWord() {
            guard !word.isEmpty else { return }
            terms.append(isPlain ? EnglishStem.stem(word) : String(decoding: word, as: UTF8.self))
            word.removeAll(keepingCapacity: true)
            isPlain = true
        }
        for scalar in text.unicodeScalars {
            let value = scalar.value
            if value < 0x80 {
                previousIdeograph = nil
                let byte = UInt8(truncatingIfNeeded: value)
                switch byte {
                case 0x41...0x5A: append(byte | 0x20, to: &word)
                case 0x61...0x7A, 0x30...0x39: append(byte, to: &word)
                case 0x27 where !word.isEmpty: append(byte, to: &word)
                default: endWord()
                }
            } else if isIdeographic(value) {
                endWord()
                terms.append(String(scalar))
                if let previousIdeograph {
                    terms.append(String(previousIdeograph) + String(scalar))
                }
                previousIdeograph = scalar
            } else if value == 0x2019, !word.isEmpty {
                append(0x27, to: &word)
            } else if isWordPart(scalar) {
                previousIdeograph = nil
                isPlain = false
                let lower = scalar.properties.lowercaseMapping.utf8
                if word.count + lower.count <= maximumTermBytes { word += lower }
            } else {
                previousIdeograph = nil
                endWord()
            }
        }
        endWord()
        return terms
    }

    /// How often each term occurs.
    static func counts(_ terms: [String]) -> [String: Int] {
        terms.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    /// A query's terms, each once, without the words that every text has, unless there are no others.
    static func queryTerms(_ text: String) -> [String] {
        var seen: Set<String> = []
        let all = terms(text).filter { seen.insert($0).inserted }
        let telling = all.filter { !EnglishStem.common.contains($0) }
        return Array((telling.isEmpty ? all : telling).prefix(64))
    }

    private static func append(_ byte: UInt8, to word: inout [UInt8]) {
        if word.count < maximumTermBytes { word.append(byte) }
    }

    private static func isWordPart(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
            .nonspacingMark, .spacingMark, .decimalNumber, .letterNumber, .otherNumber:
            true
        default: false
        }
    }

    /// Scripts written without spaces between words: Han, Hiragana, Katakana, and Hangul beside them.
    private static func isIdeographic(_ value: UInt32) -> Bool {
        switch value {
        case 0x3041...0x30FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xAC00...0xD7AF, 0xF900...0xFAFF,
            0xFF66...0xFF9D, 0x20000...0x3FFFF:
            true
        default: false
        }
    }
}

/// A light stemmer: plural, -ing, -ed and a final e, so that "painted" finds "painting". It need not give words, only
/// the same letters for words that belong together.
enum EnglishStem {
    static let common: Set<String> = Set(
        """
        a an the and or but if of in on at to for from by with about as is are was were be been am do does did done \
        have has had having can could will would shall should may might must i me my mine we us our you your yours he \
        him his she her it its they them their this that these those there here what which who whom whose when where \
        why how not no yes so than then too very just also please tell know say said let get got s t d m re ve ll
        """.split(separator: " ").map { stem(Array($0.utf8)) })

    /// `word` in lower-case ASCII letters, digits and apostrophes.
    static func stem(_ word: [UInt8]) -> String {
        var stem = word[...]
        if let apostrophe = stem.lastIndex(of: 0x27), stem.count - apostrophe <= 2 {
            stem = stem[..<apostrophe]
        }
        if stem.contains(0x27) { stem = stem.filter { $0 != 0x27 }[...] }
        if stem.last?.isLetter == true {
            takeOffPlural(&stem)
            takeOffVerbEnding(&stem)
            if stem.count >= 4, stem.last == UInt8(ascii: "e") { stem.removeLast() }
        }
        return String(decoding: stem, as: UTF8.self)
    }

    private static func takeOffPlural(_ stem: inout ArraySlice<UInt8>) {
        guard stem.count > 3, stem.last == UInt8(ascii: "s") else { return }
        if stem.ends("ies"), stem.count > 4 {
            stem.removeLast(3)
            stem.append(UInt8(ascii: "y"))
        } else if stem.ends("sses") || stem.ends("xes") || stem.ends("ches") || stem.ends("shes") {
            stem.removeLast(2)
        } else if !stem.ends("ss") && !stem.ends("us") && !stem.ends("is") {
            stem.removeLast()
        }
    }

    private static func takeOffVerbEnding(_ stem: inout ArraySlice<UInt8>) {
        let ending = stem.ends("ing") ? 3 : stem.ends("ed") && !stem.ends("eed") ? 2 : 0
        let rest = stem.dropLast(ending)
        guard ending > 0, rest.count >= 3, rest.contains(where: \.isVowel) else { return }
        stem = rest
        if let last = stem.last, stem.dropLast().last == last, !last.isVowel,
            !last.isKeptDouble
        {
            stem.removeLast()
        }
    }
}

extension UInt8 {
    fileprivate var isLetter: Bool { (0x61...0x7A).contains(self) }
    /// a, e, i, o, u and y.
    fileprivate var isVowel: Bool {
        switch self {
        case 0x61, 0x65, 0x69, 0x6F, 0x75, 0x79: true
        default: false
        }
    }
    /// l, s and z: doubled at the end of a word itself.
    fileprivate var isKeptDouble: Bool { self == 0x6C || self == 0x73 || self == 0x7A }
}

extension ArraySlice<UInt8> {
    fileprivate func ends(_ suffix: StaticString) -> Bool {
        suffix.withUTF8Buffer { suffix in
            count >= suffix.count && self.suffix(suffix.count).elementsEqual(suffix)
        }
    }
}

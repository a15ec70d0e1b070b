/// Which terms a text is found by: words in lower case with English endings taken off, and runs of CJK as one and two characters.

enum Tokenizer {
    /// Bytes of a term, at most; the rest of a longer word is cut off.
    static let maximumTermBytes = 64

    /// The terms in their order, repeated as they occur.
    static func terms(_ text: String) -> [String] {
        var terms: [String] = []
        forEachTerm(in: text[...]) { terms.append($0) }
        return terms
    }

    static func forEachTerm(in text: Substring, _ body: (String) -> Void) {
        var text = text
        text.withUTF8 { bytes in
            var reader = TermReader()
            var index = 0
            while index < bytes.count {
                let start = index
                while index < bytes.count, bytes[index].isPlainLetter { index += 1 }
                if index > start {
                    reader.read(UnsafeBufferPointer(rebasing: bytes[start..<index]))
                } else if bytes[index] < 0x80 {
                    reader.readMark(bytes[index], body)
                    index += 1
                } else {
                    reader.read(decode(bytes, &index), body)
                }
            }
            reader.endWord(body)
        }
    }

    /// A query's terms, each once, without the words that every text has, unless there are no others.
    static func queryTerms(_ text: String) -> [String] {
        var seen: Set<String> = []
        let all = terms(text).filter { seen.insert($0).inserted }
        let telling = all.filter { !EnglishStem.common.contains($0) }
        return Array((telling.isEmpty ? all : telling).prefix(64))
    }

    /// The character beyond ASCII that begins at `index`, which moves behind it. A string's bytes are valid.
    private static func decode(_ bytes: UnsafeBufferPointer<UInt8>, _ index: inout Int) -> Unicode.Scalar {
        let first = UInt32(bytes[index])
        let (length, lead): (Int, UInt32) =
            first < 0xE0 ? (2, first & 0x1F) : first < 0xF0 ? (3, first & 0x0F) : (4, first & 0x07)
        let end = min(index + length, bytes.count)
        let value = bytes[index + 1..<end].reduce(lead) { $0 << 6 | UInt32($1 & 0x3F) }
        index = end
        return Unicode.Scalar(value) ?? "\u{FFFD}"
    }
}

/// Reads a text character by character and gives its terms.
private struct TermReader {
    private var word: [UInt8] = []
    /// ASCII alone: a word that English endings are taken off.
    private var isPlain = true
    private var previousIdeograph: Unicode.Scalar?

    /// Letters and digits of ASCII.
    mutating func read(_ letters: UnsafeBufferPointer<UInt8>) {
        previousIdeograph = nil
        let start = word.count
        word.append(contentsOf: letters.prefix(Tokenizer.maximumTermBytes - start))
        for index in start..<word.count where word[index] < 0x61 && word[index] > 0x40 { word[index] |= 0x20 }
    }

    /// Another byte of ASCII.
    mutating func readMark(_ byte: UInt8, _ body: (String) -> Void) {
        previousIdeograph = nil
        if byte == 0x27, !word.isEmpty { append(byte) } else { endWord(body) }
    }

    /// A character beyond ASCII.
    mutating func read(_ scalar: Unicode.Scalar, _ body: (String) -> Void) {
        if Self.isIdeographic(scalar.value) {
            endWord(body)
            body(String(scalar))
            if let previousIdeograph { body(String(previousIdeograph) + String(scalar)) }
            previousIdeograph = scalar
        } else if scalar.value == 0x2019, !word.isEmpty {
            append(0x27)
        } else if Self.isWordPart(scalar) {
            previousIdeograph = nil
            isPlain = false
            let lower = scalar.properties.lowercaseMapping.utf8
            if word.count + lower.count <= Tokenizer.maximumTermBytes { word += lower }
        } else {
            previousIdeograph = nil
            endWord(body)
        }
    }

    mutating func endWord(_ body: (String) -> Void) {
        guard !word.isEmpty else { return }
        if isPlain { EnglishStem.stem(&word) }
        body(String(decoding: word, as: UTF8.self))
        word.removeAll(keepingCapacity: true)
        isPlain = true
    }

    private mutating func append(_ byte: UInt8) {
        if word.count < Tokenizer.maximumTermBytes { word.append(byte) }
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

extension UInt8 {
    /// A letter or digit of ASCII.
    fileprivate var isPlainLetter: Bool {
        switch self {
        case 0x61...0x7A, 0x30...0x39, 0x41...0x5A: true
        default: false
        }
    }
}

/// Splits text of any script into the tokens and terms that lexical matching works on.
enum Lexicon {
    /// A lower-case stretch of text that belongs together.
    enum Token: Hashable {
        /// A word of a script that puts spaces between words.
        case word(String)
        /// An unbroken stretch of Chinese, Japanese or Korean.
        case ideographs(String)
    }

    static func tokens(of text: some StringProtocol) -> [Token] {
        var tokens: [Token] = []
        var current = String.UnicodeScalarView()
        var currentClass = ScalarClass.separator
        func close() {
            guard !current.isEmpty else { return }
            let text = String(current)
            tokens.append(currentClass == .ideograph ? .ideographs(text) : .word(text))
            current = String.UnicodeScalarView()
        }
        for scalar in text.unicodeScalars {
            let scalarClass = ScalarClass(scalar)
            if scalarClass != currentClass { close() }
            currentClass = scalarClass
            guard scalarClass != .separator else { continue }
            if scalar.value < 0x80 {
                let isUpper = (0x41...0x5A).contains(scalar.value)
                current.append(isUpper ? Unicode.Scalar(UInt8(scalar.value) + 0x20) : scalar)
            } else {
                current.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
            }
        }
        close()
        return tokens
    }

    /// The terms that carry meaning, in order and with repetitions: stems of words, pairs of ideographs.
    static func contentTerms(of text: some StringProtocol) -> [String] {
        var terms: [String] = []
        for token in tokens(of: text) {
            switch token {
            case .word(let word):
                if !Vocabulary.stopWords.contains(word) { terms.append(stem(word)) }
            case .ideographs(let run):
                terms.append(contentsOf: ideographTerms(of: run))
            }
        }
        return terms
    }

    /// Cuts the commonest English endings, so that "codes" finds "code". Crude, but the same on both sides.
    static func stem(_ word: String) -> String {
        let length = word.utf8.count
        if length > 4, word.hasSuffix("ies") { return word.dropLast(3) + "y" }
        if length > 3, word.hasSuffix("s"), !word.hasSuffix("ss"), !word.hasSuffix("us"),
            !word.hasSuffix("is")
        {
            return String(word.dropLast())
        }
        if length > 5, word.hasSuffix("ing") { return String(word.dropLast(3)) }
        if length > 4, word.hasSuffix("ed") { return String(word.dropLast(2)) }
        return word
    }

    /// Overlapping pairs that hold no function character; a lone ideograph stands for itself.
    private static func ideographTerms(of run: String) -> [String] {
        let scalars = Array(run.unicodeScalars)
        if scalars.count == 1 {
            return Vocabulary.functionIdeographs.contains(scalars[0]) ? [] : [run]
        }
        return zip(scalars, scalars.dropFirst()).compactMap { first, second in
            let isFunction =
                Vocabulary.functionIdeographs.contains(first)
                || Vocabulary.functionIdeographs.contains(second)
            return isFunction ? nil : String(String.UnicodeScalarView([first, second]))
        }
    }
}

/// Which kind of token a scalar belongs to.
enum ScalarClass {
    case separator, letter, ideograph

    init(_ scalar: Unicode.Scalar) {
        let value = scalar.value
        if value < 0x80 {
            let isLetterOrDigit =
                (0x30...0x39).contains(value) || (0x41...0x5A).contains(value)
                || (0x61...0x7A).contains(value)
            self = isLetterOrDigit ? .letter : .separator
            return
        }
        switch value {
        case 0x3040...0x30FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xAC00...0xD7A3, 0xF900...0xFAFF,
            0x20000...0x323AF:
            self = .ideograph
        default:
            let properties = scalar.properties
            // Marks that combine with a letter belong to it, or words of many Indic scripts would fall apart.
            let isMark =
                properties.generalCategory == .nonspacingMark || properties.generalCategory == .spacingMark
            self = properties.isAlphabetic || properties.numericType != nil || isMark ? .letter : .separator
        }
    }

    static func isIdeographic(_ text: some StringProtocol) -> Bool {
        text.unicodeScalars.contains { ScalarClass($0) == .ideograph }
    }
}

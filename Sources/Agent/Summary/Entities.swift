/// Finds, without a model, what a text names: people and places by their capitals, numbers, codes, dates,
/// addresses, and the Chinese words that stand out.
enum Entities {
    /// In order of appearance, each once.
    static func found(in texts: [String], limit: Int = SummaryReply.entityLimit) -> [String] {
        var seen: Set<String> = []
        var entities: [String] = []
        var segments: [String: Int] = [:]
        var segmentOrder: [String] = []
        for text in texts {
            for sentence in Sentences.split(text) {
                for entity in named(in: sentence) where seen.insert(entity.lowercased()).inserted {
                    entities.append(entity)
                }
                for segment in ideographSegments(of: sentence) {
                    if segments[segment] == nil { segmentOrder.append(segment) }
                    segments[segment, default: 0] += 1
                }
            }
        }
        let salient = segmentOrder.enumerated().sorted { first, second in
            let firstCount = segments[first.element] ?? 0
            let secondCount = segments[second.element] ?? 0
            return firstCount != secondCount ? firstCount > secondCount : first.offset < second.offset
        }
        // Chinese has no capitals to go by, so its guesses are fewer and stand last.
        return Array((entities + salient.prefix(12).map(\.element)).prefix(limit))
    }

    private static func named(in sentence: String) -> [String] {
        var entities: [String] = []
        var name: [Substring] = []
        func closeName() {
            if !name.isEmpty { entities.append(name.joined(separator: " ")) }
            name = []
        }
        for piece in sentence.split(whereSeparator: \.isWhitespace) {
            let word = withoutOuterPunctuation(piece)
            let endsPhrase = word.endIndex < piece.endIndex
            if word.isEmpty {
                closeName()
            } else if isAddress(word) || word.contains(where: \.isASCIIDigit) {
                closeName()
                entities.append(contentsOf: asciiParts(of: word))
            } else if isCapitalised(word) {
                name.append(word)
            } else {
                closeName()
            }
            if endsPhrase { closeName() }
        }
        closeName()
        return entities
    }

    /// Numbers and addresses stand in Chinese text without spaces: cuts them out of it.
    private static func asciiParts(of word: Substring) -> [String] {
        guard ScalarClass.isIdeographic(word) else { return [String(word)] }
        return word.split { !$0.isASCII }
            .map { withoutOuterPunctuation($0) }
            .filter { $0.contains(where: \.isASCIIDigit) || isAddress($0) }
            .map(String.init)
    }

    private static func withoutOuterPunctuation(_ word: Substring) -> Substring {
        func isInner(_ character: Character) -> Bool { character.isLetter || character.isNumber }
        guard let start = word.firstIndex(where: isInner), let end = word.lastIndex(where: isInner) else {
            return ""
        }
        var trimmed = word[start...end]
        if trimmed.hasSuffix("'s") || trimmed.hasSuffix("’s") { trimmed = trimmed.dropLast(2) }
        return trimmed
    }

    private static func isAddress(_ word: Substring) -> Bool {
        if word.hasPrefix("http://") || word.hasPrefix("https://") || word.hasPrefix("www.") { return true }
        guard let at = word.firstIndex(of: "@") else { return false }
        return at > word.startIndex && word[at...].contains(".")
    }

    private static func isCapitalised(_ word: Substring) -> Bool {
        guard let first = word.first, first.isUppercase, word.utf8.count > 1 else { return false }
        let lower = word.lowercased()
        let bare = lower.prefix { $0 != "'" && $0 != "’" }
        return !Vocabulary.stopWords.contains(String(bare)) && !Vocabulary.smallTalkWords.contains(lower)
            && !Vocabulary.questionOpeners.contains(lower)
    }

    /// Stretches of two to six ideographs between characters of grammar.
    private static func ideographSegments(of sentence: String) -> [String] {
        sentence.unicodeScalars
            .split { ScalarClass($0) != .ideograph || Vocabulary.functionIdeographs.contains($0) }
            .filter { (2...6).contains($0.count) }
            .map { String($0) }
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { isASCII && isNumber }
}

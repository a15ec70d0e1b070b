/// Cuts text into sentences and tells what a sentence does: ask or state.
enum Sentences {
    /// The sentences of a text, trimmed, without empty ones. Line ends separate too; a point inside `4.5` or
    /// an address doesn't.
    static func split(_ text: String) -> [String] {
        var sentences: [String] = []
        var current = ""
        func close() {
            let sentence = trimmed(current)
            if !sentence.isEmpty { sentences.append(String(sentence)) }
            current = ""
        }
        var rest = text[...]
        while let character = rest.popFirst() {
            if character.isNewline {
                close()
                continue
            }
            current.append(character)
            switch character {
            case "。", "！", "？": close()
            case ".", "!", "?":
                if rest.first?.isWhitespace ?? true { close() }
            default: break
            }
        }
        close()
        return sentences
    }

    static func trimmed(_ text: some StringProtocol) -> Substring {
        var rest = Substring(text)
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return rest
    }

    /// Whether the sentence asks for something. A guess by its mark and its words.
    static func asks(_ sentence: some StringProtocol) -> Bool {
        if sentence.contains(where: { $0 == "?" || $0 == "？" }) { return true }
        if Vocabulary.questionIdeographs.contains(where: { sentence.contains($0) }) { return true }
        let opening = Lexicon.tokens(of: sentence.prefix(40)).lazy.compactMap { token -> String? in
            if case .word(let word) = token, word != "please", word != "and", word != "so" {
                word
            } else {
                nil
            }
        }
        return opening.first.map(Vocabulary.questionOpeners.contains) ?? false
    }

    /// At most `limit` bytes of UTF-8, cut between scalars, with an ellipsis where something was cut.
    static func bounded(_ text: String, bytes limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        let ellipsis = "..."
        var end = text.utf8.index(text.startIndex, offsetBy: max(0, limit - ellipsis.utf8.count))
        while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
        return text[..<end] + ellipsis
    }
}

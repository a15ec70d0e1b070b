/// Decides by its words alone whether a message could be helped by memories: greetings, thanks and bare
/// assent can't.
enum MemoryWish {
    /// Errs towards true: a needless recall costs a few milliseconds, a missed one costs the answer.
    static func isWorthRecalling(_ text: some StringProtocol) -> Bool {
        // A longer text always says more than a greeting does.
        guard text.utf8.count <= 160 else { return true }
        var sawGreeting = false
        var sawFiller = false
        for token in Lexicon.tokens(of: text) {
            switch token {
            case .word(let word):
                guard Vocabulary.smallTalkWords.contains(word) else { return true }
                if Vocabulary.smallTalkFillers.contains(word) { sawFiller = true } else { sawGreeting = true }
            case .ideographs(let run):
                guard isSmallTalk(run) else { return true }
                sawGreeting = true
            }
        }
        // "That is it?" is made of fillers alone and may well ask back; emoji and punctuation alone ask
        // nothing.
        return sawFiller && !sawGreeting
    }

    /// Whether the run is known phrases from end to end; longest first is enough for these.
    private static func isSmallTalk(_ run: String) -> Bool {
        var rest = run[...]
        while !rest.isEmpty {
            guard let phrase = phrasesByLength.first(where: { rest.hasPrefix($0) }) else { return false }
            rest = rest.dropFirst(phrase.count)
        }
        return true
    }

    private static let phrasesByLength = Vocabulary.smallTalkIdeographs.sorted { $0.count > $1.count }
}

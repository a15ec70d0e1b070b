/// Which letters of an English word are its stem: inflections and the commonest derivations are taken off its end.

/// A light stemmer: plural, -ing, -ed and a final e, so that "painted" finds "painting"; then one ending such as -ation, -ment
/// or -ly, so that "donation" finds "donate". It need not give words, only the same letters for words that belong together.
enum EnglishStem {
    /// Letters that must stay where an ending is taken off.
    private static let shortestRest = 4
    /// Endings, the longer ones first, and how many of their letters stay.
    private static let derivations: [(ending: StaticString, kept: Int)] = [
        ("ation", 2), ("ition", 2), ("ment", 0), ("ness", 0), ("ful", 0), ("ly", 0), ("iv", 0), ("er", 0),
        ("or", 0),
        ("ion", 0),
    ]

    static let common: Set<String> = Set(
        """
        a an the and or but if of in on at to for from by with about as is are was were be been am do does did done \
        have has had having can could will would shall should may might must i me my mine we us our you your yours he \
        him his she her it its they them their this that these those there here what which who whom whose when where \
        why how not no yes so than then too very just also please tell know say said let get got s t d m re ve ll
        """.split(separator: " ").map {
            var word = Array($0.utf8)
            stem(&word)
            return String(decoding: word, as: UTF8.self)
        })

    /// `word` in lower-case ASCII letters, digits and apostrophes.
    static func stem(_ word: inout [UInt8]) {
        if let apostrophe = word.lastIndex(of: 0x27) {
            if word.count - apostrophe <= 2 { word.removeLast(word.count - apostrophe) }
            word.removeAll { $0 == 0x27 }
        }
        guard let last = word.last, last.isLetter else { return }
        takeOffPlural(&word)
        takeOffVerbEnding(&word)
        if word.count >= 4, word.last == UInt8(ascii: "e") { word.removeLast() }
        takeOffDerivation(&word)
        // "beauty" belongs to "beautiful", "happy" to "happiness".
        if word.count > 3, word.last == UInt8(ascii: "y") { word[word.count - 1] = UInt8(ascii: "i") }
    }

    private static func takeOffPlural(_ word: inout [UInt8]) {
        guard word.count > 3, word.last == UInt8(ascii: "s") else { return }
        if word.ends("ies"), word.count > 4 {
            word.removeLast(3)
            word.append(UInt8(ascii: "y"))
        } else if word.ends("sses") || word.ends("xes") || word.ends("ches") || word.ends("shes") {
            word.removeLast(2)
        } else if !word.ends("ss") && !word.ends("us") && !word.ends("is") {
            word.removeLast()
        }
    }

    private static func takeOffVerbEnding(_ word: inout [UInt8]) {
        let ending = word.ends("ing") ? 3 : word.ends("ed") && !word.ends("eed") ? 2 : 0
        let rest = word.count - ending
        guard ending > 0, rest >= 3, word[..<rest].contains(where: \.isVowel) else { return }
        word.removeLast(ending)
        let last = word[rest - 1]
        if word[rest - 2] == last, !last.isVowel, !last.isKeptDouble { word.removeLast() }
    }

    private static func takeOffDerivation(_ word: inout [UInt8]) {
        for (ending, kept) in derivations where word.ends(ending, leaving: shortestRest) {
            word.removeLast(ending.utf8CodeUnitCount - kept)
            return
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

extension [UInt8] {
    /// Whether it ends so, and `rest` bytes at least stand before that.
    fileprivate func ends(_ suffix: StaticString, leaving rest: Int = 0) -> Bool {
        let length = suffix.utf8CodeUnitCount
        guard count >= length + rest else { return false }
        // From the end: most words differ in the last letter.
        for offset in 1...length where self[count - offset] != suffix.utf8Start[length - offset] {
            return false
        }
        return true
    }
}

import Testing

@testable import Agent

@Suite struct TextTests {
    @Test(
        "Sentences end at marks and line ends, not at points inside figures and addresses",
        arguments: [
            ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
            ("It costs 4.50 at www.a.b. Fine.", ["It costs 4.50 at www.a.b.", "Fine."]),
            ("一。二！三？四", ["一。", "二！", "三？", "四"]), ("a\n\n b \r\nc", ["a", "b", "c"]), ("", []), ("  ", []),
        ])
    func sentences(text: String, expected: [String]) {
        #expect(Sentences.split(text) == expected)
    }

    @Test(
        "Questions and requests are told from statements",
        arguments: [
            ("what is it", true), ("Is it?", true), ("please tell me more", true), ("My code is 1", false),
            ("我的密码是什么", true),
            ("我的密码是4711", false), ("Remember that I like tea", false), ("where I live it rains", true),
        ])
    func asks(sentence: String, expected: Bool) {
        #expect(Sentences.asks(sentence) == expected)
    }

    @Test("A cut text is within its bound and ends between two characters")
    func bounded() {
        #expect(Sentences.bounded("short", bytes: 5) == "short")
        for limit in 3...12 {
            let cut = Sentences.bounded("我的储物柜密码", bytes: limit)
            #expect(cut.utf8.count <= limit)
            #expect(cut.hasSuffix("..."))
            #expect(!cut.unicodeScalars.contains("\u{FFFD}"))
        }
    }

    @Test("Terms are stems of words and pairs of ideographs, without the words of grammar")
    func terms() {
        #expect(Lexicon.contentTerms(of: "What's the Locker's codes, Anna?") == ["locker", "code", "anna"])
        #expect(Lexicon.contentTerms(of: "我的储物柜密码是4711") == ["储物", "物柜", "柜密", "密码", "4711"])
        #expect(Lexicon.contentTerms(of: "Ünïted CAFÉ") == ["ünït", "café"])
    }
}

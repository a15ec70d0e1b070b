import Foundation
import Testing

@testable import Memory

@Suite struct SearchTextTests {
    @Test(
        "Words are found in any case and in their usual English forms",
        arguments: [
            ("Painting", "painted"), ("DOGS", "dog's"), ("houses", "house"), ("running", "run"),
            ("cities", "city"),
            ("Boxes", "box"), ("naming", "name"), ("don't", "Don’t"), ("Straße", "STRAßE"),
            ("Ärger", "ärger"), ("donation", "donated"), ("definition", "definite"), ("enjoyment", "enjoys"),
            ("happiness", "happy"), ("beautiful", "beauty"), ("quickly", "quick"), ("creative", "create"),
            ("painters", "paint"), ("director", "directed"), ("discussion", "discuss"),
            ("families", "family"),
        ])
    func sameTerm(left: String, right: String) {
        #expect(Tokenizer.terms(left) == Tokenizer.terms(right))
    }

    @Test(
        "Different words stay different",
        arguments: [
            ("need", "ne"), ("glass", "glas"), ("bus", "bu"), ("thing", "th"), ("red", "r"), ("water", "wat"),
            ("nation", "nat"), ("moment", "mo"), ("ally", "al"), ("sky", "ski"), ("actor", "act"),
        ])
    func otherTerm(left: String, right: String) {
        #expect(Tokenizer.terms(left) != Tokenizer.terms(right))
    }

    @Test(
        "The stem of a word is these letters",
        arguments: [
            ("education", "educat"), ("position", "posit"), ("government", "govern"), ("kindness", "kind"),
            ("hopeful", "hope"), ("lovely", "love"), ("active", "activ"), ("expensive", "expens"),
            ("teachers", "teach"), ("editor", "edit"), ("connection", "connect"), ("rainy", "raini"),
            ("day", "day"),
            ("2023", "2023"), ("dog's", "dog"), ("o'clock", "oclock"), ("running", "run"),
            ("falling", "fall"),
        ])
    func stem(word: String, letters: String) {
        #expect(Tokenizer.terms(word) == [letters])
    }

    @Test("Words of other languages lose nothing but endings that English has too")
    func otherLanguages() {
        #expect(Tokenizer.terms("Über Größe Führer naïvely") == ["über", "größe", "führer", "naïvely"])
        #expect(Tokenizer.terms("Привет мир") == ["привет", "мир"])
        #expect(Tokenizer.terms("Lehrer Haus maison casa") == ["lehr", "haus", "maison", "casa"])
    }

    @Test("Runs of CJK characters are found by one character and by two") func ideographs() {
        #expect(Tokenizer.terms("東京都へ") == ["東", "京", "東京", "都", "京都", "へ", "都へ"])
        #expect(Tokenizer.terms("在 Berlin 住") == ["在", "berlin", "住"])
    }

    @Test("No text gives a term that is too long or holds a space") func bounds() {
        let texts = [
            String(repeating: "a", count: 500), String(repeating: "é", count: 500), "a\u{0}b\tc", "🦊 🦊",
        ]
        for term in texts.flatMap(Tokenizer.terms) {
            #expect(term.utf8.count <= Tokenizer.maximumTermBytes + 3 && !term.contains(" ") && !term.isEmpty)
        }
    }

    @Test("A query is searched by its telling words, or by the common ones where it has no others")
    func queryTerms() {
        #expect(Tokenizer.queryTerms("What is the name of my dog?") == Tokenizer.terms("name dog"))
        #expect(!Tokenizer.queryTerms("What is that?").isEmpty)
    }

    @Test("A rare word weighs more than a frequent one, and a full match is worth at most 1") func weights() {
        let ranking = BM25(frequencies: [1, 90], documents: 100, averageLength: 10)
        let norm = ranking.norm(length: 10)
        let rare = ranking.share(ofTermAt: 0, count: 1, norm: norm)
        let common = ranking.share(ofTermAt: 1, count: 1, norm: norm)
        let both = (0...1).reduce(0) { $0 + ranking.share(ofTermAt: $1, count: 50, norm: norm) }
        #expect(rare > 5 * common && both > rare && both <= 1)
        #expect(ranking.share(ofTermAt: 0, count: 1, norm: ranking.norm(length: 100)) < rare)
    }

    @Test("The excerpt is the passage that answers the query, within its bound") func excerpt() {
        let filler = (0..<200).map { "user: filler line number \($0) about the weather" }
        let text = (filler + ["user: where do I park?", "assistant: the garage code is 4711"] + filler)
            .joined(separator: "\n")
        var finder = PassageFinder(terms: Tokenizer.queryTerms("garage code"))
        let passage = finder.best(of: text)
        #expect(passage.contains("4711") && passage.utf8.count <= PassageFinder.maximumBytes)
        #expect(finder.best(of: "") == "")
        #expect(finder.best(of: text) == passage, "what came before does not count")
    }

    @Test("The excerpt has the word that was asked for in another form") func excerptForms() {
        let filler = (0..<40).map { "user: filler line number \($0) about the weather" }
        let text = (filler + ["user: my memory of the city"]).joined(separator: "\n")
        for asked in ["memories", "cities"] {
            var finder = PassageFinder(terms: Tokenizer.queryTerms(asked))
            #expect(finder.best(of: text).contains("my memory of the city"))
        }
    }

    @Test("One long line without breaks gives the part of it that fits") func longLine() {
        let words = (0..<2000).map { "word\($0)" }.joined(separator: " ")
        var finder = PassageFinder(terms: Tokenizer.queryTerms("word1234"))
        let passage = finder.best(of: words)
        #expect(passage.contains("word1234") && passage.utf8.count <= PassageFinder.maximumBytes)
    }

    @Test(
        "A summary that is found by nothing but a weak similarity is left out; one with the words or a passage stays"
    )
    func minScore() {
        let fusion = RecallFusion(minScore: 0.35, topK: 6, byVector: true)
        let weak = IndexHit(row: .named("weak"), similarity: 0.34, relevance: nil)
        let noise = IndexHit(row: .named("noise"), similarity: 0.34, relevance: 0.09, passage: 0.1)
        let worded = IndexHit(row: .named("worded"), similarity: 0.2, relevance: 0.5, passage: 0.7)
        let similar = IndexHit(row: .named("similar"), similarity: 0.36, relevance: nil)
        let wide = IndexHit(row: .named("wide"), similarity: 0.2, relevance: 0.11, passage: 0.01)
        let told = IndexHit(row: .named("told"), similarity: 0.2, relevance: 0.05, passage: 0.6)
        let found = fusion.merge([weak, noise, worded, similar, wide, told], [])
        #expect(found.map(\.id) == ["worded", "told", "wide", "similar"])
        #expect(found.allSatisfy { (0...1).contains($0.score) })
    }

    @Test("What both vector and words rank first is first, with the score 1") func agreement() {
        let fusion = RecallFusion(minScore: 0, topK: 2, byVector: true)
        let hits = (0..<8).map { number in
            IndexHit(
                row: .named("\(number)"), similarity: 0.9 - 0.1 * Double(number),
                relevance: 0.9 - 0.1 * Double(number), passage: 0.9 - 0.1 * Double(number))
        }
        let found = fusion.merge(hits.reversed(), [])
        #expect(found.map(\.id) == ["0", "1"])
        #expect(found.first?.score == 1)
    }

    @Test("The best passage counts for as much as all words of a row, a vector for half of either")
    func parts() {
        let fusion = RecallFusion(minScore: 0.35, topK: 6, byVector: true)
        let found = fusion.merge(
            [
                IndexHit(row: .named("words"), similarity: 0.4, relevance: 0.8, passage: 0.4),
                IndexHit(row: .named("passage"), similarity: 0.4, relevance: 0.4, passage: 0.8),
                IndexHit(row: .named("vector"), similarity: 0.8, relevance: nil),
            ], [])
        let scores = Dictionary(uniqueKeysWithValues: found.map { ($0.id, $0.score) })
        #expect(scores == ["words": 0.7, "passage": 0.7, "vector": 0.2])
    }

    @Test("Rolling summaries keep the latest and stay within their bound") func rolling() {
        var rolling = ""
        for number in 0..<50 {
            rolling = RollingSummary.adding(
                "summary \(number) " + String(repeating: "x", count: 300), to: rolling)
        }
        #expect(rolling.count <= RollingSummary.maximumCharacters)
        #expect(rolling.contains("summary 49") && !rolling.contains("summary 1 "))
        #expect(RollingSummary.adding("only", to: "") == "only")
        #expect(
            RollingSummary.adding(String(repeating: "y", count: 9000), to: "old").count
                == RollingSummary.maximumCharacters)
    }

    @Test("The dot product of stored floats is right for every length and alignment", arguments: 1..<40)
    func dot(length: Int) {
        let query = (0..<length).map { Float($0) }
        let stored = query.withUnsafeBytes { Data([0]) + Data($0) }.dropFirst()
        #expect(VectorMath.dot(query, stored) == query.reduce(0) { $0 + $1 * $1 })
        #expect(VectorMath.dot(query + [1], stored) == 0)
    }
}

extension MemoryRow {
    static func named(_ id: String) -> MemoryRow {
        MemoryRow(
            id: id, scope: .of("ann", "s"), generation: 0, agent: "a", firstTurn: 1, lastTurn: 1, time: 0,
            summary: id, entities: [], text: id)
    }
}

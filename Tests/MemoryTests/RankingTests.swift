/// How archived rows are ranked: by their words, by their best passages and by the day, the same wherever they are held.
import Foundation
import Testing

@testable import Memory

@Suite struct RankingTests {
    private static let words = [
        "garage", "code", "dog", "Rex", "4711", "painting", "garden", "gate", "locker", "parcel", "Zürich",
        "猫",
        "the", "user:", "May",
    ]

    private static func text(_ random: inout SeededGenerator, lines: ClosedRange<Int>) -> String {
        (0..<Int.random(in: lines, using: &random)).map { _ in
            (0..<Int.random(in: 0...6, using: &random)).map { _ in words.randomElement(using: &random) ?? "" }
                .joined(separator: " ")
        }
        .joined(separator: "\n")
    }

    private static func row(
        _ id: String, _ text: String, summary: String = "", time: Int64 = 0,
        entities: [String] = ["Rex, the dog"]
    ) -> MemoryRow {
        MemoryRow(
            id: id, scope: .of("ann", "s"), generation: 0, agent: "a", firstTurn: 1, lastTurn: 2, time: time,
            summary: summary, entities: entities, text: text)
    }

    private static func rows(_ count: Int, _ random: inout SeededGenerator) -> [MemoryRow] {
        (0..<count).map {
            let summary = text(&random, lines: 0...2).replacing("\n", with: ". ")
            let time = Int64.random(in: 0...4, using: &random) * 86_400_000
            return row("row-\($0)", text(&random, lines: 0...12), summary: summary, time: time)
        }
    }

    private static func vector(_ row: MemoryRow) -> [Float] { TestModel.vector(row.summary) }

    private static func resident(_ rows: [MemoryRow]) -> ResidentMemories {
        var memories = ResidentMemories(dimension: TestModel.dimension)
        for row in rows {
            let isKept = vector(row).withUnsafeBytes {
                memories.append(row, vector: $0, terms: RowTerms(row))
            }
            #expect(isKept)
        }
        return memories
    }

    private static func ranking(_ answer: IndexAnswer) -> [RecalledMemory] {
        RecallFusion(minScore: 0.35, topK: 100, byVector: true).merge(answer.hits, [])
    }

    private static func query(_ text: String, limit: Int = 100) -> IndexQuery {
        IndexQuery(vector: TestModel.vector(text), text: text, limit: limit)
    }

    @Test(
        "The order in which rows were written changes neither their scores nor their ranking",
        arguments: 1...20)
    func order(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let rows = Self.rows(24, &random)
        let query = Self.query(Self.text(&random, lines: 1...1))
        let expected = Self.ranking(Self.resident(rows).search(query))
        #expect(Self.ranking(Self.resident(rows.shuffled(using: &random)).search(query)) == expected)
    }

    @Test("Rows that a server found are ranked as those in L1 are", arguments: 1...20) func rerank(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        let rows = Self.rows(24, &random)
        let query = Self.query(Self.text(&random, lines: 1...1))
        let held = Self.resident(rows).search(query)
        let similarities = Dictionary(
            uniqueKeysWithValues: rows.map { row in
                (row.id, Double(zip(query.vector ?? [], Self.vector(row)).reduce(0) { $0 + $1.0 * $1.1 }))
            })
        let found = LexicalRerank.rank(
            rows.shuffled(using: &random), similarities: similarities, terms: query.terms, limit: query.limit)
        #expect(found.statistics == held.statistics)
        let (left, right) = (Self.byID(found), Self.byID(held))
        #expect(Set(left.keys) == Set(right.keys))
        for (id, hit) in left {
            #expect(hit.relevance == right[id]?.relevance && hit.passage == right[id]?.passage)
            #expect(abs((hit.similarity ?? 0) - (right[id]?.similarity ?? 0)) < 1e-6)
        }
    }

    private static func byID(_ answer: IndexAnswer) -> [String: IndexHit] {
        Dictionary(answer.hits.map { ($0.row.id, $0) }, uniquingKeysWith: { $1 })
    }

    @Test(
        "Scores are finite and within their bounds, for rows without words and queries without telling ones too"
    )
    func bounds() {
        var random = SeededGenerator(seed: 7)
        let rows =
            Self.rows(30, &random) + [
                Self.row("empty", ""), Self.row("mark", "...\n\n?"), Self.row("one", "dog"),
            ]
        let queries =
            (0..<40).map { _ in Self.text(&random, lines: 0...2) } + ["", "?", "what is that", "猫猫"]
        for text in queries {
            let answer = Self.resident(rows).search(Self.query(text, limit: 12))
            for hit in answer.hits {
                #expect((hit.similarity ?? 0).isFinite && (0...1.0001).contains(hit.relevance ?? 0))
                #expect((0...1.5001).contains(hit.passage ?? 0))
            }
            #expect(Self.ranking(answer).allSatisfy { (0...1).contains($0.score) })
        }
        let nothing = ResidentMemories(dimension: TestModel.dimension).search(Self.query("dog"))
        #expect(nothing.hits.isEmpty)
    }

    @Test("A passage that is split over two lines is found before the same words far apart") func passage() {
        let filler = (0..<8).map { "user: we spoke of the weather and number \($0)" }
        let close = Self.row(
            "close",
            (["user: where is the garage?", "assistant: behind the bakery"] + filler).joined(separator: "\n"))
        let apart = Self.row(
            "apart",
            (["user: where is the garage?"] + filler + ["assistant: behind the bakery"]).joined(
                separator: "\n"),
            time: 0)
        let query = IndexQuery(vector: nil, text: "garage behind the bakery", limit: 12)
        for rows in [[close, apart], [apart, close]] {
            var answer = Self.resident(rows).search(query)
            let fusion = RecallFusion(minScore: 0.35, topK: 2, byVector: false)
            let found = fusion.merge(answer.hits, [])
            #expect(found.map(\.id) == ["close", "apart"] && found[0].score > found[1].score)
            for index in answer.hits.indices { answer.hits[index].passage = nil }
            let byWords = fusion.merge(answer.hits, [])
            #expect(byWords.first?.score == byWords.last?.score, "the words alone tell them apart")
        }
    }

    @Test("A sentence of the summary is a passage of its own") func summary() {
        let terms = RowTerms(
            text: "user: one two\nassistant: three\nuser: four five six",
            summary: "Seven eight. Nine! 猫だ。犬だ", time: 1_683_417_600_000)
        // The lines with their roles, then the sentences; two windows, and four sentences of CJK and English.
        #expect(terms.shape.lengths == [3, 2, 4, 2, 1, 3, 3] && terms.shape.said == 3)
        #expect(terms.shape.windows == 2 && terms.shape.passages == 6 && terms.shape.dayLength == 3)
        let lengths = (0..<6).map { terms.shape.length(ofPassage: $0) - 3 }
        #expect(lengths == [5, 6, 2, 1, 3, 3] && terms.shape.passageTerms == lengths.reduce(18, +))
        #expect(terms.length == 18 + 3)
    }

    @Test("What was said on a day is found by the day; where the time is not known it is not") func day() {
        let june = Int64(1_686_700_800_000)
        let rows = [
            Self.row("14", "user: I was at the dentist", time: june),
            Self.row("15", "user: I was at the dentist", time: june + 86_400_000),
            Self.row("unknown", "user: I was at the dentist"),
        ]
        let found = Self.resident(rows).search(IndexQuery(vector: nil, text: "14 June 2023", limit: 12))
        let scores = Dictionary(uniqueKeysWithValues: Self.ranking(found).map { ($0.id, $0.score) })
        #expect(Self.ranking(found).first?.id == "14")
        #expect(scores["unknown"] == nil && (scores["15"] ?? 0) < (scores["14"] ?? 0))
    }

    @Test(
        "The day of a time is that of UTC",
        arguments: [
            (0, ""), (-1, ""), (1, "1 January 1970"), (946_684_799_999, "31 December 1999"),
            (946_684_800_000, "1 January 2000"), (1_683_503_999_999, "7 May 2023"),
            (1_709_164_800_000, "29 February 2024"), (4_107_542_400_000, "1 March 2100"),
        ] as [(Int64, String)])
    func dayInWords(time: Int64, text: String) {
        #expect(DayInWords.text(time) == text)
    }

    @Test("Days are those of the calendar") func calendar() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(secondsFromGMT: 0))
        var random = SeededGenerator(seed: 3)
        for _ in 0..<2000 {
            let time = Int64.random(in: 1...8_000_000_000_000, using: &random)
            let date = Date(timeIntervalSince1970: Double(time) / 1000)
            let parts = calendar.dateComponents([.day, .year], from: date)
            let words = DayInWords.text(time).split(separator: " ")
            #expect(words.first == "\(parts.day ?? 0)" && words.last == "\(parts.year ?? 0)")
        }
    }

    @Test("A turn that is not archived yet is ranked as a row of the same text is") func fragment() throws {
        let turn = Turn.said("the garage code is 4711", at: 1_686_700_800_000)
        // As many terms in each: a fragment's length is compared with other fragments', a row's with other rows'.
        let time = turn.finishedAt + 86_400_000
        let others = (0..<6).map {
            Self.row("\($0)", Turn.said("the garage door is \($0)").searchText, time: time, entities: [])
        }
        let archived = Self.row("turn", turn.searchText, time: turn.finishedAt, entities: [])
        for text in ["garage code", "14 June"] {
            let query = IndexQuery(vector: nil, text: text, limit: 12)
            let row = try #require(
                Self.resident(others + [archived]).search(query).hits.first { $0.row.id == "turn" })
            let stored = FragmentTurn(
                session: Scope.of("ann", "s").session, sessionID: "s",
                stored: StoredTurn(sequence: 1, turn: turn))
            let fragment = try #require(
                FragmentRanking.rank(
                    [stored], terms: query.terms,
                    statistics: Self.resident(others).search(query).statistics
                ).first)
            #expect(abs(fragment.relevance - (row.relevance ?? 0)) < 1e-9)
            #expect(abs(fragment.passage - (row.passage ?? 0)) < 1e-9)
        }
    }

    @Test("Lines that end with a carriage return are lines") func carriageReturns() {
        let (plain, returned) = ("user: one two\nuser: three", "user: one two\r\nuser: three\r\n")
        #expect(RowTerms(text: returned, time: 0).shape == RowTerms(text: plain, time: 0).shape)
    }

    @Test("A query of common words alone ranks by all words of a row") func commonWords() {
        let rows = [
            Self.row("often", "user: what is that? that is that"), Self.row("once", "user: what is a dog"),
        ]
        let found = Self.ranking(
            Self.resident(rows).search(IndexQuery(vector: nil, text: "what is that", limit: 9)))
        #expect(found.map(\.id) == ["often", "once"] && found.last?.score != found.first?.score)
    }

    @Test("What is written of a row's lines is read as it was") func coding() {
        var random = SeededGenerator(seed: 11)
        for row in Self.rows(20, &random) {
            let terms = RowTerms(row)
            #expect(terms.shape.blob.withUnsafeBytes(RowShape.init(blob:)) == terms.shape)
            let places = terms.places.map(\.place)
            #expect(TermPlace.blob(places).withUnsafeBytes { Array(TermPlace.places(blob: $0)) } == places)
        }
    }

    @Test("More lines than are told apart count as part of the last one") func manyLines() {
        let text = (0..<70_000).map { "\($0)" }.joined(separator: "\n")
        let terms = RowTerms(text: text, summary: "One. Two", time: 1)
        #expect(terms.shape.lengths.count == TermPlace.lineLimit && terms.length == 70_005)
        #expect(
            terms.places.allSatisfy { $0.place.line < TermPlace.lineLimit || $0.place.line >= TermPlace.day })
        var memories = ResidentMemories(dimension: 0)
        #expect([Float]().withUnsafeBytes { memories.append(.named("a"), vector: $0, terms: terms) })
        let found = memories.search(IndexQuery(vector: nil, text: "69999", limit: 1)).hits.first
        #expect((found?.passage ?? 0) > 0)
    }

    @Test("Rows with more lines cost more of L1") func cost() {
        let one = Self.resident([Self.row("a", "user: the garage code")])
        let many = Self.resident([
            Self.row("a", (0..<50).map { "user: garage \($0)" }.joined(separator: "\n"))
        ])
        #expect(many.bytes > one.bytes + 50 * 12)
        #expect(
            many.bytes < 2
                * ResidentMemories.estimatedBytes(rows: 1, terms: 150, dimension: TestModel.dimension))
    }
}

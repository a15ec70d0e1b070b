/// What a text is found by: its terms, and in which of its lines each of them stands.

/// How many terms the lines of a row have. Its passages are two lines that were said one after the other, or one sentence of the
/// summary; each of them has the row's day.
struct RowShape: Hashable {
    /// Of the lines that were said and then of the summary's sentences; one without terms is none.
    var lengths: [UInt16] = []
    /// How many of them were said.
    var said = 0
    /// Terms of the day.
    var dayLength = 0

    /// Windows of two lines, or the only line.
    var windows: Int { min(said, max(said - 1, 1)) }
    var passages: Int { windows + lengths.count - said }

    /// Terms in the passage: the windows come first.
    func length(ofPassage index: Int) -> Int {
        let lines = lines(ofPassage: index)
        return lines.reduce(dayLength) { $0 + Int(lengths[$1]) }
    }

    func lines(ofPassage index: Int) -> Range<Int> {
        guard index < windows else { return said + index - windows..<said + index - windows + 1 }
        return index..<min(index + 2, said)
    }

    /// Terms in all passages, those that are in two of them twice.
    var passageTerms: Int { (0..<passages).reduce(0) { $0 + length(ofPassage: $1) } }
}

/// A term's occurrences in one line.
struct TermPlace: Hashable {
    /// In place of a line's number: the day, which is part of every passage; and what no passage is found by, the entities and
    /// the words that every text has, wherever they stand.
    static let day = UInt16.max - 1
    static let elsewhere = UInt16.max
    /// Lines that are told apart; what comes after them counts as part of the last one.
    static let lineLimit = 65_000

    var line: UInt16
    var count: UInt16

    /// Whether it was said, and so counts where it is asked how common the term is among lines.
    func isSaid(in shape: RowShape) -> Bool { Int(line) < shape.said }
}

/// The terms of one row, line by line.
struct RowTerms {
    private(set) var shape = RowShape()
    /// Terms of all lines, the entities and the day.
    private(set) var length = 0
    /// Lines ascending.
    private(set) var places: [(term: String, place: TermPlace)] = []
    private let wanted: Set<String>?
    /// Of the line that is being read.
    private var counts: [String: Int] = [:]
    private var elsewhere: [String: Int] = [:]

    /// - Parameters:
    ///   - text: what was said, a line a message.
    ///   - time: milliseconds since 1970.
    ///   - wanted: the terms to be noted, where others are not asked for; lengths count all of them.
    init(
        text: String, summary: String = "", entities: [String] = [], time: Int64, wanted: Set<String>? = nil
    ) {
        self.wanted = wanted
        for line in Self.lines(of: text) { addLine(line) }
        shape.said = shape.lengths.count
        for sentence in Self.sentences(of: summary) { addLine(sentence) }
        shape.dayLength = read(DayInWords.text(time)[...])
        note(at: TermPlace.day)
        for entity in entities { read(entity[...]) }
        counts.merge(elsewhere, uniquingKeysWith: +)
        note(at: TermPlace.elsewhere)
        (counts, elsewhere) = ([:], [:])
    }

    private mutating func addLine(_ text: Substring) {
        let length = read(text)
        guard length > 0 else { return }
        if shape.lengths.count == TermPlace.lineLimit, let last = shape.lengths.popLast() {
            shape.lengths.append(UInt16(clamping: Int(last) + length))
        } else {
            shape.lengths.append(UInt16(clamping: length))
        }
        note(at: UInt16(shape.lengths.count - 1))
    }

    /// Counts the terms and returns how many there are.
    @discardableResult
    private mutating func read(_ text: Substring) -> Int {
        var length = 0
        Tokenizer.forEachTerm(in: text) { term in
            length += 1
            guard wanted?.contains(term) ?? true else { return }
            if EnglishStem.common.contains(term) {
                elsewhere[term, default: 0] += 1
            } else {
                counts[term, default: 0] += 1
            }
        }
        self.length += length
        return length
    }

    private mutating func note(at line: UInt16) {
        for (term, count) in counts {
            places.append((term, TermPlace(line: line, count: UInt16(clamping: count))))
        }
        counts.removeAll(keepingCapacity: true)
    }

    private static func lines(of text: String) -> [Substring] {
        // By bytes: a carriage return before the line's end makes one character with it.
        text.utf8.split(separator: 0x0A).map { Substring($0) }
    }

    /// A sentence ends with its line, at a stop with a space behind it, and at a stop of CJK.
    private static func sentences(of text: String) -> [Substring] {
        var found: [Substring] = []
        for line in lines(of: text) {
            var start = line.startIndex
            var before: Unicode.Scalar = " "
            for index in line.unicodeScalars.indices {
                let scalar = line.unicodeScalars[index]
                if Self.wideStops.contains(before)
                    || Self.stops.contains(before) && scalar.properties.isWhitespace
                {
                    found.append(line[start..<index])
                    start = index
                }
                before = scalar
            }
            found.append(line[start...])
        }
        return found
    }

    private static let stops: [Unicode.Scalar] = [".", "!", "?"]
    private static let wideStops: [Unicode.Scalar] = ["。", "！", "？"]
}

extension RowTerms {
    init(_ row: MemoryRow, wanted: Set<String>? = nil) {
        self.init(
            text: row.text, summary: row.summary, entities: row.entities, time: row.time, wanted: wanted)
    }
}

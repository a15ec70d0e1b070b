/// What L1 may believe of a principal, as a value: from the own writes' answers and what is heard of others'.
import Testing

@testable import Memory

@Suite struct HoldingsTests {
    private static let ann = Digest128(parts: ["ann"])

    private static func listening() -> Holdings {
        var holdings = Holdings(limit: 100)
        holdings.began()
        return holdings
    }

    /// The macro can't call what changes a value.
    private static func expect(
        _ answer: Bool, _ expected: Bool, at location: SourceLocation = #_sourceLocation
    ) {
        #expect(answer == expected, sourceLocation: location)
    }

    @Test("What was read is believed from the next own write on, if nobody wrote between")
    func readThenWrote() {
        var holdings = Self.listening()
        var mark = holdings.mark(of: Self.ann)
        Self.expect(holdings.read(Self.ann, version: 5, isOurs: false, since: mark), false)
        Self.expect(holdings.isOurs(Self.ann), false)
        mark = holdings.mark(of: Self.ann)
        Self.expect(holdings.wrote(Self.ann, from: 5, to: 6, since: mark), true)
        Self.expect(holdings.isOurs(Self.ann), true)
        Self.expect(holdings.wrote(Self.ann, from: 8, to: 9, since: mark), false)
    }

    @Test("What is heard voids it, also while an answer is on its way") func heard() {
        var holdings = Self.listening()
        let mark = holdings.mark(of: Self.ann)
        Self.expect(holdings.wrote(Self.ann, from: 0, to: 1, since: mark), false)
        Self.expect(holdings.isOurs(Self.ann), true)
        holdings.lost(Self.ann)
        Self.expect(holdings.isOurs(Self.ann), false)
        _ = holdings.read(Self.ann, version: 2, isOurs: true, since: mark)
        Self.expect(holdings.isOurs(Self.ann), false)
        _ = holdings.wrote(Self.ann, from: 2, to: 3, since: mark)
        Self.expect(holdings.isOurs(Self.ann), false)
    }

    @Test("An answer that comes after that of a later write changes nothing") func late() {
        var holdings = Self.listening()
        let mark = holdings.mark(of: Self.ann)
        _ = holdings.read(Self.ann, version: 1, isOurs: true, since: mark)
        Self.expect(holdings.wrote(Self.ann, from: 2, to: 3, since: mark), false)
        Self.expect(holdings.wrote(Self.ann, from: 1, to: 2, since: mark), false)
        Self.expect(holdings.wrote(Self.ann, from: 3, to: 4, since: mark), true)
    }

    @Test("Nothing is believed while nobody would be heard, nor what was known before") func deaf() {
        var holdings = Self.listening()
        let mark = holdings.mark(of: Self.ann)
        _ = holdings.wrote(Self.ann, from: 0, to: 1, since: mark)
        holdings.ended()
        Self.expect(holdings.isOurs(Self.ann), false)
        _ = holdings.wrote(Self.ann, from: 1, to: 2, since: holdings.mark(of: Self.ann))
        Self.expect(holdings.isOurs(Self.ann), false)
        let before = holdings.mark(of: Self.ann)
        holdings.began()
        // Asked while nobody was heard.
        _ = holdings.wrote(Self.ann, from: 2, to: 3, since: before)
        Self.expect(holdings.isOurs(Self.ann), false)
    }
}

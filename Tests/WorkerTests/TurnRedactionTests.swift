/// What of a request is redacted before anything sees it, and what has to stay.
import Agent
import Memory
import PoolAPI
import Testing

@testable import Worker

@Suite("A turn's order, redacted")
struct TurnRedactionTests {
    private func redaction() throws -> Redaction {
        try Redaction(
            try AgentPoolSpec.parse(
                yaml: """
                    agents: [{name: a, instructions: i}]
                    guard: {redact: [{name: card, pattern: "[0-9]{16}", replacement: "[card]"}]}
                    """
            ).guard)
    }

    private func user(_ text: String) -> Message { Message(role: .user, content: text) }

    private let card = "4111111111111111"

    @Test("What is said is redacted, also in the body that another worker may need; what names things stays")
    func order() throws {
        let body = #"{"input":"pay \#(card)","turn_id":"\#(card)","user":"\#(card)"}"#
        var order = TurnOrder(
            new: [user("pay \(card)")], turnID: TurnID(card), digest: "abc", request: Array(body.utf8))
        order.instructions = "his card is \(card)"
        order.overrides.stop = [card]
        order.decisions = ["c": .refused(reason: "not with \(card)"), "d": .approved]
        let redacted = order.redacted(by: try redaction())
        #expect(redacted.new.map(\.content) == ["pay [card]"])
        #expect(redacted.instructions == "his card is [card]" && redacted.overrides.stop == ["[card]"])
        #expect(redacted.decisions == ["c": .refused(reason: "not with [card]"), "d": .approved])
        #expect(redacted.turnID?.value == card)
        #expect(
            String(decoding: redacted.request ?? [], as: UTF8.self)
                == #"{"input":"pay [card]","turn_id":"\#(card)","user":"\#(card)"}"#)
    }

    @Test("The stored digest is none of the body, and tells turns apart by what is left of them")
    func digests() throws {
        let redaction = try redaction()
        func digest(_ text: String, _ given: String) -> String? {
            TurnOrder(new: [user(text)], digest: given).redacted(by: redaction).digest
        }
        #expect(digest("no card", "abc") == digest("no card", "def"))
        #expect(digest("pay \(card)", "abc") == digest("pay 5500000000000004", "def"))
        #expect(digest("pay \(card)", "abc") != digest("buy \(card)", "abc"))
        #expect(digest("pay \(card)", "abc") != "abc")
    }

    @Test(
        "A client that sends its history with what was redacted in ours is where it was, and carries nothing")
    func history() throws {
        let redaction = try redaction()
        let turn = Turn(
            id: .mint(), messages: [user("my card is [card]"), Message(role: .assistant, content: "Noted.")],
            agent: "a",
            startedAt: 0, finishedAt: 0)
        let context = [StoredTurn(sequence: 1, turn: turn)]
        let theirs = [user("my card is \(card)"), Message(role: .assistant, content: "Noted.")]
        #expect(HistoryReconciliation.of(prior: theirs, context: context, turnCount: 1) != .append)
        let prior = redaction.redacted(theirs, except: context)
        #expect(HistoryReconciliation.of(prior: prior, context: context, turnCount: 1) == .append)
        // What the history doesn't have is kept with the turn, and redacted for that.
        let more = redaction.redacted(theirs + [user("and \(card)")], except: context)
        #expect(
            HistoryReconciliation.of(prior: more, context: context, turnCount: 1).carried == [
                user("and [card]")
            ])
    }
}

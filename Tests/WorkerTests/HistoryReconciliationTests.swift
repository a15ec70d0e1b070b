/// What a client believes has been said, held against what the server knows.
import Memory
import Testing

@testable import Worker

@Suite("A request's messages beside the session's history")
struct HistoryReconciliationTests {
    private func user(_ text: String) -> Message { Message(role: .user, content: text) }
    private func agent(_ text: String) -> Message { Message(role: .assistant, content: text) }

    private func turn(_ sequence: Int, _ question: String, _ answer: String, forkedAfter: Int? = nil)
        -> StoredTurn
    {
        StoredTurn(
            sequence: sequence,
            turn: Turn(
                id: .mint(), messages: [user(question), agent(answer)], agent: "a", forkedAfter: forkedAfter,
                startedAt: 0, finishedAt: 0))
    }

    private var history: [StoredTurn] { [turn(1, "q1", "a1"), turn(2, "q2", "a2"), turn(3, "q3", "a3")] }

    private func fit(_ prior: [Message], _ context: [StoredTurn]? = nil, count: Int = 3)
        -> HistoryReconciliation
    {
        .of(prior: prior, context: context ?? history, turnCount: count)
    }

    @Test("what follows the assistant's last message is new")
    func split() {
        let parts = HistoryReconciliation.split([user("q1"), agent("a1"), user("q2"), user("more")])
        #expect(parts.prior == [user("q1"), agent("a1")])
        #expect(parts.new == [user("q2"), user("more")])
    }

    @Test("a client that sends only what is new is appended")
    func onlyNew() { #expect(fit([]) == .append) }

    @Test("a new session keeps the messages that it begins with")
    func imported() {
        #expect(fit([user("x"), agent("y")], [], count: 0).carried == [user("x"), agent("y")])
    }

    @Test("the whole history, or its end, fits")
    func fits() {
        #expect(fit([user("q1"), agent("a1"), user("q2"), agent("a2"), user("q3"), agent("a3")]) == .append)
        #expect(fit([user("q3"), agent("a3")]) == .append)
    }

    @Test("a history longer than our window fits by its end")
    func longerThanWindow() {
        let window = Array(history.dropFirst())
        #expect(
            fit([user("q1"), agent("a1"), user("q2"), agent("a2"), user("q3"), agent("a3")], window)
                == .append)
    }

    @Test("a client that goes back forks after the turn where it is")
    func forks() {
        #expect(fit([user("q1"), agent("a1")]) == HistoryReconciliation(forkedAfter: 1, carried: []))
    }

    @Test("an answer that the client edited is carried from there on")
    func edited() {
        let prior = [user("q1"), agent("a1"), user("q2"), agent("edited")]
        #expect(fit(prior) == HistoryReconciliation(forkedAfter: 1, carried: [user("q2"), agent("edited")]))
    }

    @Test("a conversation that we don't know at all stands beside the history, not in it")
    func unknown() {
        #expect(
            fit([user("x"), agent("y")])
                == HistoryReconciliation(forkedAfter: 0, carried: [user("x"), agent("y")]))
    }

    @Test("the model doesn't see what a fork left behind")
    func visible() {
        let context = history + [turn(4, "q2b", "a2b", forkedAfter: 1)]
        #expect(HistoryReconciliation.visible(context).map(\.sequence) == [1, 4])
        #expect(HistoryReconciliation.visible(history, from: 2).map(\.sequence) == [1, 2])
        #expect(HistoryReconciliation.visible(history, from: 0).isEmpty)
    }

    @Test("a client that goes back to a turn that a fork left behind is shown what led to it")
    func leftBehind() {
        let forked = history + [turn(4, "q2b", "a2b", forkedAfter: 1)]
        #expect(HistoryReconciliation.visible(forked, from: 3).map(\.sequence) == [1, 2, 3])
        let again = forked + [turn(5, "q4", "a4", forkedAfter: 3)]
        #expect(HistoryReconciliation.visible(again).map(\.sequence) == [1, 2, 3, 5])
    }

    @Test("a client that names the turn after which it goes on is there, whatever was said since")
    func following() {
        let turns = history
        func after(_ id: TurnID) -> HistoryReconciliation? { .following(id, in: turns, turnCount: 3) }
        #expect(after(turns[2].turn.id) == .append)
        #expect(after(turns[0].turn.id) == HistoryReconciliation(forkedAfter: 1, carried: []))
        #expect(after(.mint()) == nil)
    }
}

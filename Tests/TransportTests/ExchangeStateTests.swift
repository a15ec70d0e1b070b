import Testing

@testable import Transport

/// The course of an exchange by itself, with words in the place of those who wait.
@Suite struct ExchangeStateTests {
    private typealias State = ExchangeState<String, String>

    private static let error = TransportError(.cancelled, "gave up")

    private func state() -> State { State(body: BodyBuffer(highMark: 10)) }

    private func begun() -> State {
        var state = state()
        guard case .submit = state.begin("head") else {
            Issue.record("a new exchange is submitted")
            return state
        }
        return state
    }

    private func streaming() -> State {
        var state = begun()
        guard case .deliver("head") = state.headArrived() else {
            Issue.record("the head goes to its waiter")
            return state
        }
        return state
    }

    private func describe(_ action: State.EndAction?) -> String {
        switch action {
        case nil: "over"
        case .some(.none): "none"
        case .failHead(let waiter, let error): "\(waiter) fails: \(error)"
        case .wakeReader(.end(let reader)): "\(reader) ends"
        case .wakeReader(.fail(let reader, let error)): "\(reader) fails: \(error)"
        case .wakeReader: "body"
        }
    }

    @Test("A head is delivered once")
    func head() {
        var state = streaming()
        guard case .none = state.headArrived() else {
            Issue.record("a second head goes nowhere")
            return
        }
    }

    @Test("An error before the head goes to the head's waiter, and an end without a head is one")
    func failedHead() {
        var failed = begun()
        #expect(describe(failed.end(Self.error)) == "head fails: gave up")
        var empty = begun()
        #expect(describe(empty.end(nil)) == "head fails: the response has no head")
        #expect(empty.isEnded)
    }

    @Test("An end and an error after the head go to the body's reader")
    func ends() {
        var whole = streaming()
        _ = whole.body.read("reader")
        #expect(describe(whole.end(nil)) == "reader ends")
        var broken = streaming()
        _ = broken.body.read("reader")
        #expect(describe(broken.end(Self.error)) == "reader fails: gave up")
    }

    @Test("An exchange that was given up before it began is never submitted")
    func abandonedEarly() {
        var state = state()
        #expect(describe(state.abandon(Self.error)) == "none")
        guard case .fail("head", Self.error) = state.begin("head") else {
            Issue.record("the waiter hears why")
            return
        }
    }

    @Test("Giving up wakes whoever waits, once, and nothing follows")
    func abandoned() {
        var waiting = begun()
        #expect(describe(waiting.abandon(Self.error)) == "head fails: gave up")
        #expect(describe(waiting.abandon(Self.error)) == "over")
        #expect(describe(waiting.end(nil)) == "none")
        var reading = streaming()
        _ = reading.body.read("reader")
        #expect(describe(reading.abandon(Self.error)) == "reader fails: gave up")
        #expect(describe(reading.end(nil)) == "none")
    }

    @Test("Giving up after the end changes nothing: the rest can be read")
    func abandonedLate() {
        var state = streaming()
        _ = state.body.append([97].span)
        #expect(describe(state.end(nil)) == "body")
        #expect(describe(state.abandon(Self.error)) == "over")
        guard case .deliver([97], release: false) = state.body.take() else {
            Issue.record("what waits is still there")
            return
        }
    }
}

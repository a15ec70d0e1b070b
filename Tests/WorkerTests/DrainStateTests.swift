/// The order of a shutdown, and how streams are spread over it.
import Testing

@testable import Worker

@Suite("A drain")
struct DrainStateTests {
    @Test("delays, finishes and is over, once, whoever asks again")
    func order() {
        var state = DrainState()
        check(state.start(delay: .seconds(15)), .begin(delay: .seconds(15)))
        check(state.start(delay: .seconds(15)), .alreadyBegun)
        #expect(state.phase == .delaying)
        state.delayEnded()
        #expect(state.phase == .finishing)
        state.finished()
        #expect(state.phase == .drained && !state.hasCut)
        check(state.timeIsOver(), false)
        state.delayEnded()
        #expect(state.phase == .drained && !state.hasCut)
    }

    @Test("is cut where its time is over, in any phase, and says so afterwards")
    func cut() {
        var state = DrainState()
        _ = state.start(delay: .seconds(15))
        check(state.timeIsOver(), true)
        check(state.timeIsOver(), false)
        state.delayEnded()
        #expect(state.phase == .cutting)
        state.finished()
        #expect(state.phase == .drained && state.hasCut)
    }

    @Test("tells streams to reconnect evenly over a window that grows with their number, up to its limit")
    func reconnects() {
        let few = ReconnectPlan(streams: 10, limit: .seconds(60))
        #expect(few.window == .seconds(1))
        #expect(few.told(after: .zero) == 0 && few.told(after: .milliseconds(500)) == 5)
        #expect(few.told(after: .seconds(1)) == 10 && few.told(after: .seconds(9)) == 10)
        #expect(ReconnectPlan(streams: 19_000, limit: .seconds(60)).window == .seconds(19))
        #expect(ReconnectPlan(streams: 19_000, limit: .seconds(5)).window == .seconds(5))
        #expect(ReconnectPlan(streams: 0, limit: .zero).told(after: .zero) == 0)
    }

    @Test("refuses a new turn with the time to come again, and voids the cookie that would bring it back")
    func refusal() {
        let fields = APIError.draining.response.head.fields
        #expect(fields.contains { $0 == ("Retry-After", "1") })
        #expect(fields.contains { $0 == ("Set-Cookie", "agentpool-route=; Path=/; Max-Age=0") })
        #expect(!APIError.overloaded("").response.head.fields.contains { $0.name == "Set-Cookie" })
    }

    @Test("wakes whoever waits for one of its steps, and whoever asks later at once")
    func signal() async {
        let signal = OnceSignal()
        await withTaskGroup(of: Bool.self) { tasks in
            for _ in 0..<3 {
                tasks.addTask {
                    await signal.wait()
                    return signal.isSet
                }
            }
            signal.set()
            for await wasSet in tasks { #expect(wasSet) }
        }
        await signal.wait()
        let never = OnceSignal()
        let waiting = Task {
            await never.wait()
            return never.isSet
        }
        waiting.cancel()
        #expect(await waiting.value == false)
    }
}

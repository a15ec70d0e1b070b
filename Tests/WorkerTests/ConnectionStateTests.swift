/// The connection's decisions, without a connection.
import Testing

@testable import Worker

@Suite("A connection")
struct ConnectionStateTests {
    let start = ContinuousClock.now
    var limits = ConnectionLimits()

    private func fresh() -> ConnectionState { ConnectionState(limits: limits, now: start) }

    private func head(
        _ state: inout ConnectionState, bytes: Int = 100, length: Int? = nil, keepAlive: Bool = true
    )
        -> ConnectionState.HeadAction
    {
        state.headArrived(
            headBytes: bytes, contentLength: length, expectsContinue: false, keepAlive: keepAlive, now: start)
    }

    @Test("hands out a whole request and reads no further until it is answered")
    func oneRequestAtATime() {
        var state = fresh()
        check(head(&state), .collectBody(sendContinue: false))
        check(state.bodyArrived(bytes: 10, now: start), .keep)
        check(state.endArrived(), true)
        #expect(!state.wantsBytes)
        check(state.responseEnded(close: false, now: start), .readNext)
        #expect(state.wantsBytes)
    }

    @Test("closes after the answer where the client or the server wants it")
    func closes() {
        var state = fresh()
        _ = head(&state, keepAlive: false)
        _ = state.endArrived()
        check(state.responseEnded(close: false, now: start), .close)
        state = fresh()
        _ = head(&state)
        _ = state.endArrived()
        check(state.responseEnded(close: true, now: start), .close)
    }

    @Test("refuses a head over its limit, and lingers so that the refusal is read")
    func headTooLarge() {
        var state = fresh()
        check(head(&state, bytes: limits.maxHeadBytes + 1), .refuse(.headTooLarge))
        check(state.responseEnded(close: true, now: start), .linger)
        check(state.tick(now: start + limits.lingerTimeout), .close)
    }

    @Test("refuses a body by its announced length before it comes, and by its bytes where none was announced")
    func bodyTooLarge() {
        var state = fresh()
        check(head(&state, length: limits.maxBodyBytes + 1), .refuse(.bodyTooLarge))
        state = fresh()
        _ = head(&state)
        check(state.bodyArrived(bytes: limits.maxBodyBytes, now: start), .keep)
        check(state.bodyArrived(bytes: 1, now: start), .refuse(.bodyTooLarge))
        check(state.endArrived(), false)
    }

    @Test("gives a slow head and a slow body their time, and no more")
    func slowSenders() {
        var state = fresh()
        state.readCompleted(now: start)
        check(state.tick(now: start + limits.headTimeout - .milliseconds(1)), .nothing)
        check(state.tick(now: start + limits.headTimeout), .refuse(.headTooSlow))
        state = fresh()
        _ = head(&state)
        check(state.tick(now: start + limits.headTimeout), .nothing)
        check(state.tick(now: start + limits.bodyTimeout), .refuse(.bodyTooSlow))
    }

    @Test("lets an idle connection go, and one that is being answered not")
    func idle() {
        var state = fresh()
        #expect(state.isIdle)
        _ = head(&state)
        _ = state.endArrived()
        check(state.tick(now: start + .seconds(3600)), .nothing)
        _ = state.responseEnded(close: false, now: start)
        check(state.tick(now: start + limits.idleTimeout), .close)
    }

    @Test("answers a good request with garbage behind it, and closes then")
    func garbageBehind() {
        var state = fresh()
        _ = head(&state)
        _ = state.endArrived()
        check(state.malformed(now: start), .drop)
        check(state.responseEnded(close: false, now: start), .close)
    }

    @Test("drops what comes while it lingers")
    func lingering() {
        var state = fresh()
        _ = head(&state, bytes: limits.maxHeadBytes + 1)
        check(head(&state), .drop)
        check(state.bodyArrived(bytes: 1, now: start), .drop)
        check(state.malformed(now: start), .drop)
    }

    @Test("a reader is stalled only while none of what waits for it goes")
    func stall() {
        var watch = StallWatch()
        func look(_ bytes: Int, _ seconds: Int) -> Bool {
            watch.isStalled(waiting: bytes, now: start + .seconds(seconds), limit: .seconds(30))
        }
        check(look(100, 0), false)
        check(look(100, 29), false)
        check(look(90, 30), false)
        check(look(90, 59), false)
        check(look(90, 60), true)
        check(look(0, 61), false)
        check(look(50, 120), false)
    }
}

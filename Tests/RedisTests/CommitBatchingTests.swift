/// Which commits share a WAIT.
import NIOCore
import Testing

@testable import Redis

@Suite("Commit batching")
struct CommitBatchingTests {
    typealias Batching = CommitBatching<String>
    let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    func commit(_ name: String, replicas: Int = 1, bytes: Int = 1, seconds: Int64 = 15) -> Batching.Waiting {
        .init(item: name, bytes: bytes, deadline: start + .seconds(seconds), replicas: replicas)
    }

    func started(_ action: Batching.AddAction) -> Batching.Batch? {
        if case .start(let batch) = action { return batch }
        return nil
    }

    @Test("idle connections take a commit at once, busy ones leave the next to gather")
    func gathers() {
        var batching = Batching(links: 2, waitingLimit: 10)
        let first = started(batching.add(commit("a")))
        let second = started(batching.add(commit("b")))
        #expect(first?.link == 0 && second?.link == 1)
        for name in ["c", "d", "e"] {
            #expect(started(batching.add(commit(name, replicas: name == "d" ? 2 : 1))) == nil)
        }
        let next = batching.ended(on: 1)
        #expect(next?.commits.map(\.item) == ["c", "d", "e"])
        #expect(next?.replicas == 2 && next?.link == 1)
        let nothing = batching.ended(on: 0)
        #expect(nothing == nil)
        #expect(batching.count == 3)
    }

    @Test("a batch and the queue are bounded")
    func bounded() {
        var batching = Batching(links: 1, waitingLimit: 300)
        _ = batching.add(commit("first"))
        for index in 0..<300 { _ = batching.add(commit("\(index)")) }
        guard case .refuse = batching.add(commit("last")) else {
            Issue.record("taken")
            return
        }
        let batch = batching.ended(on: 0)
        #expect(batch?.commits.count == 256)
        var large = Batching(links: 1, waitingLimit: 300)
        _ = large.add(commit("first"))
        for name in ["a", "b"] { _ = large.add(commit(name, bytes: 6 << 20)) }
        let one = large.ended(on: 0)
        #expect(one?.commits.map(\.item) == ["a"])
    }

    @Test("deadlines end those that wait, and tell those that run once")
    func expires() {
        var batching = Batching(links: 1, waitingLimit: 10)
        _ = batching.add(commit("running", seconds: 1))
        _ = batching.add(commit("short", seconds: 2))
        _ = batching.add(commit("long", seconds: 9))
        #expect(batching.earliest == start + .seconds(1))
        let first = batching.expire(now: start + .seconds(2))
        #expect(first.waiting == ["short"] && first.running == ["running"])
        #expect(batching.earliest == start + .seconds(9))
        let second = batching.expire(now: start + .seconds(3))
        #expect(second.waiting.isEmpty && second.running.isEmpty)
        let next = batching.ended(on: 0)
        #expect(next?.commits.map(\.item) == ["long"])
    }

    @Test("WAIT ends before the deadline, and never waits for ever")
    func waitTimeout() {
        #expect(CommitLane.waitMilliseconds(until: start + .seconds(15), now: start) == 14_750)
        #expect(CommitLane.waitMilliseconds(until: start + .milliseconds(100), now: start) == 50)
        #expect(CommitLane.waitMilliseconds(until: start, now: start) == 1)
        #expect(CommitLane.waitMilliseconds(until: start - .seconds(1), now: start) == 1)
    }
}

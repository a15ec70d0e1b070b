import Testing

@testable import Controller

@Suite struct WorkQueueTests {
    private let start = ContinuousClock.now

    @Test("A key that is added twice is given out once, at the earlier time")
    func keyAddedTwice() {
        var queue = WorkQueue<String>(workers: 2)
        queue.add("a", at: start + .seconds(10))
        queue.add("a", at: start + .seconds(3))
        queue.add("a", at: start + .seconds(5))
        #expect(queue.depth == 1)
        #expect(queue.next(start) == .waitUntil(start + .seconds(3)))
        #expect(queue.overdue(start) == 0)
        #expect(queue.overdue(start + .seconds(3)) == 1)
        #expect(queue.next(start + .seconds(3)) == .run("a"))
        #expect(queue.next(start + .seconds(20)) == .waitForChange)
    }

    @Test("A key that runs is not given out again before it has finished")
    func keyRunsNot() {
        var queue = WorkQueue<String>(workers: 2)
        queue.add("a", at: start)
        #expect(queue.next(start) == .run("a"))
        queue.add("a", at: start)
        #expect(queue.next(start) == .waitForChange)
        queue.finished("a", .done, start)
        #expect(queue.next(start) == .run("a"))
    }

    @Test("No more keys run than there are workers")
    func noMoreKeys() {
        var queue = WorkQueue<Int>(workers: 2)
        for key in 0..<3 { queue.add(key, at: start) }
        #expect(queue.next(start) == .run(0))
        #expect(queue.next(start) == .run(1))
        #expect(queue.next(start) == .waitForChange)
        queue.finished(1, .done, start)
        #expect(queue.next(start) == .run(2))
    }

    @Test("A failing key waits twice as long each time, up to a limit, and a success forgets that")
    func failingKeyWaits() {
        var queue = WorkQueue<String>(workers: 1, firstRetry: .seconds(1), lastRetry: .seconds(5))
        var now = start
        queue.add("a", at: now)
        for expected in [1, 2, 4, 5, 5] {
            #expect(queue.next(now) == .run("a"))
            queue.finished("a", .failed(), now)
            #expect(queue.next(now) == .waitUntil(now + .seconds(expected)))
            now += .seconds(expected)
        }
        #expect(queue.retries == 5)
        #expect(queue.next(now) == .run("a"))
        queue.finished("a", .done, now)
        queue.add("a", at: now)
        #expect(queue.next(now) == .run("a"))
        queue.finished("a", .failed(), now, spread: 0)
        #expect(queue.next(now) == .waitUntil(now + .milliseconds(500)))
    }

    @Test("A server that asks to be left alone is, within bounds, and a longer delay of ours stays")
    func serverLeftAlone() {
        var queue = WorkQueue<String>(workers: 1, firstRetry: .seconds(1), lastRetry: .seconds(60))
        var now = start
        queue.add("a", at: now)
        for (rest, expected) in [(0, 1), (7, 7), (2, 4), (86_400, 300)] {
            #expect(queue.next(now) == .run("a"))
            queue.finished("a", .failed(atLeast: .seconds(rest)), now)
            #expect(queue.next(now) == .waitUntil(now + .seconds(expected)))
            now += .seconds(expected)
        }
    }

    @Test("A change that comes while a key fails does not wait for the retry")
    func changeComesWhile() {
        var queue = WorkQueue<String>(workers: 1)
        queue.add("a", at: start)
        #expect(queue.next(start) == .run("a"))
        queue.add("a", at: start)
        queue.finished("a", .failed(), start)
        #expect(queue.next(start) == .run("a"))
    }

    @Test("Keys of one time come out in the order in which they went in")
    func keysOneTime() {
        var queue = WorkQueue<Int>(workers: 100)
        for key in [7, 3, 9, 1] { queue.add(key, at: start) }
        for key in [7, 3, 9, 1] { #expect(queue.next(start) == .run(key)) }
    }

    @Test("A key that is removed does not come")
    func keyRemovedDoes() {
        var queue = WorkQueue<String>(workers: 1)
        queue.add("a", at: start)
        queue.remove("a")
        #expect(queue.next(start) == .waitForChange)
        #expect(queue.depth == 0)
    }

    @Test("The longest run is told, for the liveness probe")
    func longestRunTold() {
        var queue = WorkQueue<String>(workers: 2)
        queue.add("a", at: start)
        _ = queue.next(start)
        #expect(queue.longestRun(start + .seconds(9)) == .seconds(9))
        queue.finished("a", .done, start)
        #expect(queue.longestRun(start + .seconds(9)) == .zero)
    }

    @Test(
        "Whatever happens, each key that was added is given out in time, once at a time, and never too early",
        arguments: 0..<20)
    func randomOperations(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var queue = WorkQueue<Int>(workers: 3, firstRetry: .milliseconds(100), lastRetry: .seconds(2))
        var now = start
        // What the queue must know, kept in the plainest way.
        var due: [Int: ContinuousClock.Instant] = [:]
        var running: Set<Int> = []
        var failures: [Int: Int] = [:]
        for _ in 0..<4_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4:
                let key = Int.random(in: 0..<12, using: &random)
                let time = now + .milliseconds(Int.random(in: 0..<3_000, using: &random))
                queue.add(key, at: time)
                due[key] = min(due[key] ?? time, time)
            case 4..<7:
                let free = due.filter { !running.contains($0.key) }
                switch queue.next(now) {
                case .run(let key):
                    #expect(running.count < 3)
                    #expect(!running.contains(key))
                    #expect(free[key].map { $0 <= now } == true)
                    #expect(free[key] == free.values.min())
                    due[key] = nil
                    running.insert(key)
                case .waitUntil(let time):
                    #expect(free.values.min() == time)
                    #expect(time > now)
                case .waitForChange:
                    #expect(running.count == 3 || free.isEmpty)
                }
            case 7..<9:
                guard let key = running.sorted().first else { continue }
                running.remove(key)
                switch Int.random(in: 0..<3, using: &random) {
                case 0:
                    queue.finished(key, .done, now)
                    failures[key] = nil
                case 1:
                    queue.finished(key, .again(after: .seconds(1)), now)
                    failures[key] = nil
                    due[key] = min(due[key] ?? now + .seconds(1), now + .seconds(1))
                default:
                    queue.finished(key, .failed(), now)
                    failures[key, default: 0] += 1
                    let retry = now + min(.milliseconds(50) * (1 << failures[key, default: 1]), .seconds(2))
                    due[key] = min(due[key] ?? retry, retry)
                }
            default: now += .milliseconds(Int.random(in: 0..<800, using: &random))
            }
            #expect(queue.depth == due.count)
            #expect(queue.runningCount == running.count)
        }
    }
}

/// The same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

import Testing

@testable import Memory

@Suite struct SessionPoolTests {
    private typealias Pool = SessionPool<String, Int>

    private static func key(_ name: String) -> Digest128 { Digest128(parts: [name]) }

    private static func pool(bytes: Int = 1 << 20, idle: Int64 = 1000, waiters: Int = 2) -> Pool {
        Pool(limits: .init(bytes: bytes, idle: idle, waiters: waiters))
    }

    /// Puts a session in and lets it rest.
    private static func rest(_ pool: inout Pool, _ name: String, bytes: Int = 100, at now: Int64) {
        _ = pool.hold(key(name), now: now)
        pool.put(key(name), name, bytes: bytes)
        _ = pool.release(key(name), now: now)
    }

    private static func has(_ pool: Pool, _ name: String) -> Bool {
        var copy = pool
        return copy.modify(key(name)) { _ in 0 } != nil
    }

    @Test("A session that rested in the pool is given with its content to the next turn") func hit() {
        var pool = Self.pool()
        Self.rest(&pool, "a", at: 0)
        guard case .held("a") = pool.hold(Self.key("a"), now: 1) else {
            Issue.record("not held with its content")
            return
        }
    }

    @Test("One turn at a time: the others wait and get the session in the order they came") func order() {
        var pool = Self.pool()
        let key = Self.key("a")
        _ = pool.hold(key, now: 0)
        guard case .occupied = pool.hold(key, now: 0) else {
            Issue.record("held twice")
            return
        }
        for waiter in [1, 2] {
            guard case .queued = pool.wait(key, ticket: UInt64(waiter), waiter: waiter, now: 0) else {
                Issue.record("not queued")
                return
            }
        }
        pool.put(key, "content", bytes: 10)
        for expected in [1, 2] {
            guard case .handOver(expected, "content") = pool.release(key, now: 1) else {
                Issue.record("not handed to \(expected)")
                return
            }
        }
        guard case .idle = pool.release(key, now: 2) else {
            Issue.record("somebody still waits")
            return
        }
        #expect(pool.waiting == 0)
    }

    @Test("A waiter too many is refused and told how many wait") func refusal() {
        var pool = Self.pool(waiters: 1)
        let key = Self.key("a")
        _ = pool.hold(key, now: 0)
        _ = pool.wait(key, ticket: 1, waiter: 1, now: 0)
        guard case .refused(waiting: 1) = pool.wait(key, ticket: 2, waiter: 2, now: 0) else {
            Issue.record("not refused")
            return
        }
    }

    @Test("A waiter that leaves the queue is not given the session") func abandon() {
        var pool = Self.pool()
        let key = Self.key("a")
        _ = pool.hold(key, now: 0)
        _ = pool.wait(key, ticket: 1, waiter: 1, now: 0)
        _ = pool.wait(key, ticket: 2, waiter: 2, now: 0)
        #expect(pool.abandon(key, ticket: 1) == 1)
        #expect(pool.abandon(key, ticket: 1) == nil)
        guard case .handOver(2, _) = pool.release(key, now: 0) else {
            Issue.record("the next in line did not get it")
            return
        }
    }

    @Test("Over the budget the least recently used leave first") func leastRecentlyUsed() {
        var pool = Self.pool(bytes: 3 * (Pool.slotBytes + 100))
        for (time, name) in ["a", "b", "c"].enumerated() { Self.rest(&pool, name, at: Int64(time)) }
        Self.rest(&pool, "a", at: 10)
        Self.rest(&pool, "d", at: 11)
        #expect(pool.evict(now: 12) == 1)
        #expect(Self.has(pool, "a") && !Self.has(pool, "b") && Self.has(pool, "c") && Self.has(pool, "d"))
    }

    @Test("A session in use never leaves, neither for its age nor for room") func inUse() {
        var pool = Self.pool(bytes: 1, idle: 10)
        _ = pool.hold(Self.key("held"), now: 0)
        pool.put(Self.key("held"), "held", bytes: 5000)
        Self.rest(&pool, "idle", at: 1)
        #expect(pool.evict(now: 1_000_000) == 1)
        #expect(Self.has(pool, "held") && !Self.has(pool, "idle"))
    }

    @Test("A session unused for the idle time leaves, one used later stays") func idle() {
        var pool = Self.pool(idle: 1000)
        Self.rest(&pool, "old", at: 0)
        Self.rest(&pool, "young", at: 500)
        #expect(pool.evict(now: 1000) == 1)
        #expect(!Self.has(pool, "old") && Self.has(pool, "young"))
    }

    @Test("A session without content is not kept after use") func noContent() {
        var pool = Self.pool()
        _ = pool.hold(Self.key("nowhere"), now: 0)
        _ = pool.release(Self.key("nowhere"), now: 0)
        #expect(pool.count == 0 && pool.bytes == 0)
    }

    @Test("Discarded content is loaded anew by the next in line") func discard() {
        var pool = Self.pool()
        let key = Self.key("a")
        _ = pool.hold(key, now: 0)
        pool.put(key, "old", bytes: 10)
        _ = pool.wait(key, ticket: 1, waiter: 1, now: 0)
        pool.discard(key)
        guard case .handOver(1, nil) = pool.release(key, now: 0) else {
            Issue.record("handed over with what was discarded")
            return
        }
    }

    @Test("The bytes accounted for are those of the sessions in the pool, whatever happened before")
    func accounting() {
        var generator = SeededGenerator(seed: 7)
        var pool = Self.pool(bytes: 20_000, idle: 50)
        var held: Set<Int> = []
        for step in 0..<5000 {
            let number = Int.random(in: 0..<40, using: &generator)
            let key = Self.key("\(number)")
            switch Int.random(in: 0..<5, using: &generator) {
            case 0:
                if case .held = pool.hold(key, now: Int64(step)) { held.insert(number) }
            case 1:
                if held.contains(number) {
                    pool.put(key, "x", bytes: Int.random(in: 0..<900, using: &generator))
                }
            case 2: if held.remove(number) != nil { _ = pool.release(key, now: Int64(step)) }
            case 3: pool.discard(key)
            default: _ = pool.evict(now: Int64(step))
            }
            #expect(pool.count >= held.count)
        }
        for number in held { _ = pool.release(Self.key("\(number)"), now: 5000) }
        _ = pool.evict(now: 1_000_000)
        #expect(pool.count == 0 && pool.bytes == 0)
    }
}

/// Splitmix64: the same numbers on every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

/// Slots and maps of slots.
import Testing

@testable import Redis

@Suite("Key slots")
struct KeySlotTests {
    @Test(
        "a key's slot is what Redis computes",
        arguments: [
            ("", 0), ("123456789", 0x31C3), ("foo", 12182), ("bar", 5061), ("{user1000}.following", 3443),
            ("{user1000}.followers", 3443), ("foo{}{bar}", 8363), ("foo{{bar}}zap", 4015),
            ("foo{bar}{zap}", 5061),
            ("foo{bar", 15278), ("}{a}", 15495),
        ])
    func slots(key: String, slot: Int) {
        #expect(KeySlot.of(Array(key.utf8)) == slot)
    }

    @Test("a key may hold any bytes")
    func binary() {
        #expect(KeySlot.of([0, 0xFF, 0x7B, 0, 0x7D, 0x0D, 0x0A]) == KeySlot.of([0]))
        #expect(KeySlot.of([0x7B, 0x7D, 0xFF]) == Int(KeySlot.crc16([0x7B, 0x7D, 0xFF]) % 16384))
    }

    @Test("keys used together have one slot or none")
    func common() {
        #expect(KeySlot.common(["{a}1", "{a}2"]) == KeySlot.of([0x61]))
        #expect(KeySlot.common(["a", "b"]) == nil)
        #expect(KeySlot.common([]) == 0)
    }

    @Test("addresses are read as Redis and people write them")
    func addresses() {
        #expect(RedisAddress("redis.data:6380") == RedisAddress(host: "redis.data", port: 6380))
        #expect(RedisAddress("redis") == RedisAddress(host: "redis", port: 6379))
        #expect(RedisAddress("[::1]:7000") == RedisAddress(host: "::1", port: 7000))
        #expect(RedisAddress("fe80::1:7000") == RedisAddress(host: "fe80::1", port: 7000))
        #expect(RedisAddress(":7000") == RedisAddress(host: "", port: 7000))
        for wrong in ["a:", "a:0", "a:65536", "a:b", "[::1]x"] { #expect(RedisAddress(wrong) == nil) }
        #expect("\(RedisAddress(host: "::1", port: 1))" == "[::1]:1")
    }

    @Test("back-off doubles, stops at its limit, and is jittered")
    func backOff() {
        var generator = Seeded(state: 7)
        let backOff = BackOff(first: .milliseconds(50), limit: .seconds(3))
        #expect(backOff.delay(after: 0, using: &generator) == .zero)
        for (failures, step) in [(1, 50), (2, 100), (4, 400), (7, 3000), (1000, 3000)] {
            for _ in 0..<50 {
                let delay = backOff.delay(after: failures, using: &generator)
                #expect(delay >= .milliseconds(step / 2) && delay <= .milliseconds(step))
            }
        }
        #expect(Set((0..<20).map { _ in backOff.delay(after: 3, using: &generator) }).count > 10)
    }
}

/// A generator whose numbers are the same in every run (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

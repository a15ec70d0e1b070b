import Testing

@testable import Kubernetes

/// How long requests wait for the client's own rate limit.
@Suite struct TokenBucketTests {
    private let start = ContinuousClock.now

    @Test("A burst goes out at once, and what comes after it at the rate")
    func burst() {
        var bucket = TokenBucket(RequestLimits(perSecond: 10, burst: 3), now: start)
        let waits = (0..<6).map { _ in bucket.take(at: start, patience: .seconds(60)) }
        #expect(waits == [0, 0, 0, 100, 200, 300].map { .milliseconds($0) })
        #expect(bucket.take(at: start + .seconds(60), patience: .zero) == .zero)
    }

    @Test("Who can't wait that long is told so, and holds nobody else up")
    func patience() {
        var bucket = TokenBucket(RequestLimits(perSecond: 1, burst: 1), now: start)
        #expect(bucket.take(at: start, patience: .zero) == .zero)
        #expect(bucket.take(at: start, patience: .milliseconds(999)) == nil)
        #expect(bucket.take(at: start, patience: .seconds(1)) == .seconds(1))
    }

    @Test("A request that was cancelled while it waited gives its place up")
    func cancelled() {
        var bucket = TokenBucket(RequestLimits(perSecond: 1, burst: 1), now: start)
        #expect(bucket.take(at: start, patience: .zero) == .zero)
        #expect(bucket.take(at: start, patience: .seconds(9)) == .seconds(1))
        bucket.putBack()
        #expect(bucket.take(at: start, patience: .seconds(9)) == .seconds(1))
    }

    @Test("However the requests come, no more go out in any time than the burst and what the rate adds to it")
    func bound() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            var bucket = TokenBucket(RequestLimits(perSecond: 5, burst: 4), now: start)
            var now = start
            var sent: [ContinuousClock.Instant] = []
            for _ in 0..<200 {
                now += .milliseconds(Int.random(in: 0..<300, using: &generator))
                if let wait = bucket.take(at: now, patience: .seconds(2)) { sent.append(now + wait) }
            }
            for (index, first) in sent.enumerated() {
                let inSecond = sent[index...].prefix { $0 < first + .seconds(1) }.count
                #expect(inSecond <= 4 + 5 + 1)
            }
        }
    }

    @Test("Without a rate nobody waits")
    func unlimited() {
        var bucket = TokenBucket(.none, now: start)
        #expect((0..<1000).allSatisfy { _ in bucket.take(at: start, patience: .zero) == .zero })
    }
}

import Testing

@testable import Transport

/// When a transfer has waited too long, with a clock that stands still.
@Suite struct TransferDeadlinesTests {
    private func deadlines(total: Duration? = nil) -> TransferDeadlines {
        TransferDeadlines(start: 0, idle: .nanoseconds(100), total: total, slowReader: .nanoseconds(50))
    }

    @Test("Silence ends a transfer, and every byte puts that off")
    func idle() {
        var deadlines = deadlines()
        #expect(deadlines.earliest == 100)
        #expect(deadlines.expired(at: 99) == nil)
        #expect(deadlines.expired(at: 100) == .idle)
        deadlines.activity(at: 90)
        #expect(deadlines.expired(at: 189) == nil)
        #expect(deadlines.expired(at: 190) == .idle)
    }

    @Test("Activity doesn't put the total limit off")
    func total() {
        var deadlines = deadlines(total: .nanoseconds(150))
        deadlines.activity(at: 149)
        #expect(deadlines.earliest == 150)
        #expect(deadlines.expired(at: 150) == .total)
    }

    @Test("While the reader is behind, silence isn't counted; afterwards it starts anew")
    func paused() {
        var deadlines = deadlines()
        deadlines.pause(sharedConnection: false, at: 10)
        #expect(deadlines.earliest == .max)
        #expect(deadlines.expired(at: 1_000_000) == nil)
        deadlines.resume(at: 500)
        #expect(deadlines.expired(at: 599) == nil)
        #expect(deadlines.expired(at: 600) == .idle)
    }

    @Test("On a shared connection the reader may be behind only for so long at a time")
    func held() {
        var deadlines = deadlines()
        deadlines.pause(sharedConnection: true, at: 10)
        deadlines.pause(sharedConnection: true, at: 40)
        #expect(deadlines.earliest == 60)
        #expect(deadlines.expired(at: 60) == .slowReader)
        deadlines.resume(at: 50)
        deadlines.pause(sharedConnection: true, at: 60)
        #expect(deadlines.expired(at: 109) == nil)
        #expect(deadlines.expired(at: 110) == .slowReader)
    }

    @Test("Durations without end don't overflow")
    func clamped() {
        let endless = TransferDeadlines(
            start: 5, idle: .seconds(Int64.max), total: .seconds(Int64.max), slowReader: .zero)
        #expect(endless.earliest == .max)
        #expect(Duration.milliseconds(1).curlMilliseconds == 1)
        #expect(Duration.microseconds(1).curlMilliseconds == 1)
        #expect(Duration.zero.curlMilliseconds == 1)
        #expect(Duration.seconds(2).curlMilliseconds == 2000)
    }
}

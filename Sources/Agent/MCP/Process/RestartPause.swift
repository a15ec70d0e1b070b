/// Decides when a process that has ended may be started again. A value without a clock.

/// After its first end at once, so that one crash costs nothing; after further ones ever later, until it has held out for a while.
struct RestartPause: Sendable {
    typealias Instant = ContinuousClock.Instant

    static let first = Duration.milliseconds(500)
    static let longest = Duration.seconds(30)
    /// A process that has run for so long is taken for sound.
    static let steady = Duration.seconds(60)

    /// Ends in a row of processes that did not hold out.
    private(set) var failures = 0
    private var notBefore: Instant?

    /// It ended, or could not be started: then `started` is `ended`.
    mutating func ended(startedAt started: Instant, at ended: Instant) {
        if ended - started >= Self.steady { failures = 0 }
        failures += 1
        let pause = failures == 1 ? .zero : min(Self.first * (1 << min(failures - 2, 10)), Self.longest)
        notBefore = ended + pause
    }

    /// How long it is until the next start; nil where it may be now.
    func wait(at now: Instant) -> Duration? {
        guard let notBefore, now < notBefore else { return nil }
        return notBefore - now
    }
}

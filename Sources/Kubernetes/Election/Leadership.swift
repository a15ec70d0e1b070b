/// Whether this process leads, by a clock that also counts the time in which the machine was suspended.

import Synchronization

/// The lease as it stands now, shared by the election, which moves its end, and by whoever writes under it.
///
/// `ContinuousClock` is `CLOCK_BOOTTIME` on Linux. The end is counted from before the renewal was sent, and comes
/// earlier than the moment at which another may take the lease: a write that is sent by then arrives in time.
public struct Leadership: Sendable {
    private final class State: Sendable {
        let end: Mutex<ContinuousClock.Instant?>

        init(_ end: ContinuousClock.Instant?) {
            self.end = Mutex(end)
        }
    }

    private let state: State

    /// Held until then, and no longer unless it is renewed; nil for a lease that was lost.
    public init(until end: ContinuousClock.Instant?) {
        state = State(end)
    }

    /// To be asked right before each write.
    public func isHeld() -> Bool { isHeld(at: .now) }

    public func isHeld(at now: ContinuousClock.Instant) -> Bool { remaining(at: now) > .zero }

    /// What is left of the lease, so how long a write that begins now may take; zero once it is lost.
    public func remaining(at now: ContinuousClock.Instant = .now) -> Duration {
        state.end.withLock { $0.map { max(.zero, $0 - now) } ?? .zero }
    }

    func hold(until end: ContinuousClock.Instant) {
        // A lease that was given up is not taken back.
        state.end.withLock { if $0 != nil { $0 = end } }
    }

    func giveUp() {
        state.end.withLock { $0 = nil }
    }
}

/// How long a lease lasts without its holder.
public struct LeaseTiming: Sendable, Equatable {
    /// How long others wait after the last renewal that they saw.
    public var duration: Duration
    /// How long the holder goes on without a renewal; less than `duration`, by as much as writes may still be under
    /// way and clocks may differ.
    public var renewDeadline: Duration
    /// The pause between two attempts, of the holder and, with some chance added, of the others.
    public var retryPeriod: Duration
    /// How long the holder's farewell may take.
    public var releaseTimeout: Duration

    public init(
        duration: Duration = .seconds(15), renewDeadline: Duration = .seconds(10),
        retryPeriod: Duration = .seconds(2), releaseTimeout: Duration = .seconds(3)
    ) {
        precondition(renewDeadline < duration && retryPeriod < renewDeadline, "the lease can't be kept")
        self.duration = duration
        self.renewDeadline = renewDeadline
        self.retryPeriod = retryPeriod
        self.releaseTimeout = releaseTimeout
    }
}

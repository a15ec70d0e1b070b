/// Decides the order of a shutdown: serve on for a while, refuse new turns, wait for running ones, let go. Pure.

/// The steps never go back. Whoever asks again learns how far it is.
struct DrainState: Sendable, Equatable {
    enum Phase: Int, Sendable, Comparable {
        /// Nobody has asked.
        case serving
        /// Asked; endpoints and proxies have yet to learn of it, so everything is still served.
        case delaying
        /// New turns are refused, running ones finish.
        case finishing
        /// Nothing runs any more and everything is released.
        case drained

        static func < (a: Phase, b: Phase) -> Bool { a.rawValue < b.rawValue }
    }

    private(set) var phase = Phase.serving

    enum StartAction: Equatable {
        case begin(delay: Duration)
        case alreadyBegun
    }

    mutating func start(delay: Duration) -> StartAction {
        guard phase == .serving else { return .alreadyBegun }
        phase = .delaying
        return .begin(delay: delay)
    }

    mutating func delayEnded() { phase = max(phase, .finishing) }
    mutating func finished() { phase = .drained }
}

/// Decides the order of a shutdown: serve on for a while, refuse new turns, wait for running ones, let go; or cut, where the time is
/// over. Pure.

/// The steps never go back. Whoever asks again learns how far it is.
struct DrainState: Sendable, Equatable {
    enum Phase: Int, Sendable, Comparable {
        /// Nobody has asked.
        case serving
        /// Asked; endpoints and proxies have yet to learn of it, so everything is still served.
        case delaying
        /// New turns are refused, running ones finish, long-lived streams are told to reconnect.
        case finishing
        /// The time is over: what still runs is told so and ends.
        case cutting
        /// Nothing runs any more and everything is released.
        case drained

        static func < (a: Phase, b: Phase) -> Bool { a.rawValue < b.rawValue }
    }

    private(set) var phase = Phase.serving
    /// Something was still running when the time was over.
    private(set) var hasCut = false

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

    /// The drain's own time is over, or somebody can't wait.
    ///
    /// - Returns: whether anything is left to cut.
    mutating func timeIsOver() -> Bool {
        guard phase < .cutting else { return false }
        phase = .cutting
        hasCut = true
        return true
    }

    mutating func finished() { phase = .drained }
}

/// When each of many streams is told to reconnect, so that the other workers can take them in: evenly over a window.
struct ReconnectPlan: Sendable, Equatable {
    /// As many a second as other workers take in beside their turns.
    static let rate = 1000

    let count: Int
    let window: Duration

    /// - Parameter limit: of the whole window.
    init(streams: Int, limit: Duration) {
        count = streams
        window = min(max(.seconds(1), .seconds(streams) / Self.rate), limit)
    }

    /// How many are to have been told after so long.
    func told(after time: Duration) -> Int {
        guard time < window else { return count }
        return Int((Double(count) * (time / window)).rounded(.down))
    }
}

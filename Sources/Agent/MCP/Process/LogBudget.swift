/// Decides how much of what a process says goes into the log. A value without a clock.

/// So many lines in so long a time; the others are counted.
struct LogBudget: Sendable {
    typealias Instant = ContinuousClock.Instant

    static let maxLines = 100
    static let window = Duration.seconds(10)

    private var windowEnd: Instant?
    private var lines = 0
    private var omitted = 0

    enum Verdict: Equatable {
        case log
        /// After saying that so many lines were left out.
        case logAfter(omitted: Int)
        case omit
    }

    mutating func take(at now: Instant) -> Verdict {
        if windowEnd.map({ now >= $0 }) ?? true {
            windowEnd = now + Self.window
            lines = 0
        }
        guard lines < Self.maxLines else {
            omitted += 1
            return .omit
        }
        lines += 1
        defer { omitted = 0 }
        return omitted > 0 ? .logAfter(omitted: omitted) : .log
    }
}

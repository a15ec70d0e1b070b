/// Decides how long a request has to wait so that no more are sent than the rate allows. Pure: the clock comes in.

/// How many requests a client may send.
public struct RequestLimits: Sendable, Equatable {
    /// Requests a second in the long run; nil for no limit.
    public var perSecond: Double?
    /// Requests that may be sent at once after a pause; at least 1.
    public var burst: Int

    public init(perSecond: Double?, burst: Int) {
        self.perSecond = perSecond
        self.burst = burst
    }

    /// The API server has fairness of its own; this only keeps a fault of ours from becoming a flood.
    public static let standard = RequestLimits(perSecond: 200, burst: 400)
    public static let none = RequestLimits(perSecond: nil, burst: 1)
}

/// A bucket that fills at the limit's rate up to its burst. A request takes a token at once, which may be one that
/// is yet to come: then it waits for it, and whoever comes later waits behind it.
struct TokenBucket: Sendable {
    private let perSecond: Double?
    private let burst: Double
    /// Less than nothing while requests wait.
    private var tokens: Double
    private var filledAt: ContinuousClock.Instant

    init(_ limits: RequestLimits, now: ContinuousClock.Instant) {
        perSecond = limits.perSecond.flatMap { $0 > 0 ? $0 : nil }
        burst = Double(max(1, limits.burst))
        tokens = burst
        filledAt = now
    }

    /// How long the request has to wait; nil, and no token taken, where that is longer than `patience`.
    mutating func take(at now: ContinuousClock.Instant, patience: Duration) -> Duration? {
        guard let perSecond else { return .zero }
        if now > filledAt {
            tokens = min(burst, tokens + (now - filledAt) / .seconds(1) * perSecond)
            filledAt = now
        }
        let wait: Duration = tokens >= 1 ? .zero : .seconds((1 - tokens) / perSecond)
        guard wait <= patience else { return nil }
        tokens -= 1
        return wait
    }

    /// Gives a token back whose request was not sent.
    mutating func putBack() {
        tokens = min(burst, tokens + 1)
    }
}

/// What a tool says of how far it is, and how often clients are told of it.

/// One report of a call under way (`notifications/progress` of the Model Context Protocol).
public struct ToolProgress: Sendable, Hashable {
    /// Grows with each report, in whatever unit the tool counts.
    public var progress: Double?
    /// What `progress` will come to, where the tool knows.
    public var total: Double?
    /// One short line; holds no secret.
    public var message: String?

    public init(progress: Double? = nil, total: Double? = nil, message: String? = nil) {
        self.progress = progress
        self.total = total
        self.message = message
    }
}

/// How often a call's reports are told: often in its first seconds, ever less in its later ones. A value without a clock.
struct ProgressPace: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// Between two reports of one call.
    static let shortest = Duration.milliseconds(250)
    /// Later the pause is this part of the time that the call has taken.
    static let share = 20
    /// Reports of one turn: they share the log of its session's events with what must not be lost from there.
    static let maximumInTurn = 256

    private let begun: Instant
    private var next: Instant

    init(begun: Instant) {
        self.begun = begun
        next = begun
    }

    mutating func mayTell(at now: Instant) -> Bool {
        guard now >= next else { return false }
        next = now + max(Self.shortest, (now - begun) / Self.share)
        return true
    }
}

/// Decides when a connection on which nothing comes back is given up for a new one.
///
/// gRPC replaces a connection that breaks. It doesn't see one that stays open and silent: a peer that accepts and never
/// speaks, or whose machine went away without a word.
struct ConnectionHealth {
    enum Action: Equatable {
        case keep
        case replace
    }

    /// How long silence may last.
    let patience: Duration
    /// When the first of the calls began that got no answer since the last one that did.
    private var silentSince: ContinuousClock.Instant?
    /// Counts connections, so that calls of an earlier one are not held against this one.
    private(set) var generation = 0

    init(patience: Duration) {
        self.patience = patience
    }

    /// A call ended by whatever the server or the connection said, a failure included.
    mutating func answered(generation: Int) {
        if generation == self.generation { silentSince = nil }
    }

    /// A call ended because its time was up or its caller left.
    ///
    /// Callers may leave long before `patience`, so silence is counted over calls, not within one.
    mutating func unanswered(begun: ContinuousClock.Instant, generation: Int, now: ContinuousClock.Instant)
        -> Action
    {
        guard generation == self.generation else { return .keep }
        let since = min(silentSince ?? begun, begun)
        silentSince = since
        guard now - since >= patience else { return .keep }
        silentSince = nil
        self.generation += 1
        return .replace
    }
}

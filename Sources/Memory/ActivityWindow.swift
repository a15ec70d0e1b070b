/// Counts the sessions that had a turn lately, also those that have left L1 since.
struct ActivityWindow {
    /// Milliseconds that a turn counts for.
    let length: Int64
    /// Sessions counted, at most: beyond it the count stays there.
    let limit: Int
    private var lastTurns: [Digest128: Int64] = [:]

    init(length: Int64, limit: Int = 2_000_000) {
        self.length = length
        self.limit = limit
    }

    mutating func note(_ session: Digest128, now: Int64) {
        guard lastTurns.count < limit || lastTurns[session] != nil else { return }
        lastTurns[session] = now
    }

    mutating func forget(_ session: Digest128) {
        lastTurns[session] = nil
    }

    /// Drops the sessions whose last turn is too long ago.
    mutating func prune(now: Int64) {
        lastTurns = lastTurns.filter { now - $0.value < length }
    }

    /// As of the last `prune`.
    var count: Int { lastTurns.count }
}

/// Counts the sessions that had a turn lately, also those that have left L1 since.
struct ActivityWindow {
    /// Milliseconds that a turn counts for.
    let length: Int64
    /// Sessions counted, at most: beyond it the count stays there.
    let limit: Int
    private struct Session {
        var lastTurn: Int64
        var principal: Digest128
    }

    private var sessions: [Digest128: Session] = [:]

    init(length: Int64, limit: Int = 2_000_000) {
        self.length = length
        self.limit = limit
    }

    mutating func note(_ scope: Scope, now: Int64) {
        guard sessions.count < limit || sessions[scope.session] != nil else { return }
        sessions[scope.session] = Session(lastTurn: now, principal: scope.principal)
    }

    mutating func forget(_ session: Digest128) {
        sessions[session] = nil
    }

    /// Every session that is counted, with its last turn's time.
    var all: [(scope: Scope, lastTurn: Int64)] {
        sessions.map { (Scope(principal: $1.principal, session: $0, sessionID: ""), $1.lastTurn) }
    }

    /// Counts a session no more, unless it has had a turn since.
    mutating func forget(_ session: Digest128, lastTurn: Int64) {
        if sessions[session]?.lastTurn == lastTurn { sessions[session] = nil }
    }

    /// Drops the sessions whose last turn is too long ago.
    mutating func prune(now: Int64) {
        sessions = sessions.filter { now - $0.value.lastTurn < length }
    }

    /// As of the last `prune`.
    var count: Int { sessions.count }
}

/// Decides when a transfer has waited too long. Instants are nanoseconds of one monotonic clock, passed in.
///
/// Activity only moves deadlines further away, so whoever sleeps until `earliest` may sleep on a stale value and
/// ask again when it wakes.
struct TransferDeadlines {
    enum Expired: Equatable {
        case idle
        case total
        /// The reader held a shared connection back for too long.
        case slowReader
    }

    private let idle: Int64
    private let total: Int64
    private let slowReader: Int64
    private var idleSince: Int64
    private var heldSince: Int64?
    private var isPaused = false

    init(start: Int64, idle: Duration, total: Duration?, slowReader: Duration) {
        self.idle = idle.nanoseconds
        self.total = total.map { start.addingClamped($0.nanoseconds) } ?? .max
        self.slowReader = slowReader.nanoseconds
        idleSince = start
    }

    var earliest: Int64 {
        var earliest = total
        if !isPaused { earliest = min(earliest, idleSince.addingClamped(idle)) }
        if let heldSince { earliest = min(earliest, heldSince.addingClamped(slowReader)) }
        return earliest
    }

    mutating func activity(at now: Int64) {
        idleSince = now
    }

    /// The reader is behind, so silence on the connection isn't the peer's.
    mutating func pause(sharedConnection: Bool, at now: Int64) {
        isPaused = true
        if sharedConnection, heldSince == nil { heldSince = now }
    }

    mutating func resume(at now: Int64) {
        isPaused = false
        heldSince = nil
        idleSince = now
    }

    func expired(at now: Int64) -> Expired? {
        if now >= total { return .total }
        if let heldSince, now >= heldSince.addingClamped(slowReader) { return .slowReader }
        if !isPaused, now >= idleSince.addingClamped(idle) { return .idle }
        return nil
    }
}

extension Duration {
    /// Clamped to what an `Int64` holds, which is 292 years.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        return scaled.addingClamped(attoseconds / 1_000_000_000)
    }

    /// Rounded up, at least 1: libcurl takes 0 as "no limit" or "its own default".
    var curlMilliseconds: Int {
        let nanoseconds = max(self.nanoseconds, 1)
        return max(1, Int(nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 > 0 ? 1 : 0)))
    }
}

extension Int64 {
    func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}

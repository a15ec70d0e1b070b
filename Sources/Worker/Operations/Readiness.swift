/// Decides whether this pod should be sent traffic, from what its stores report. Pure.
import Memory

struct Readiness: Sendable, Equatable {
    /// Failing reports in a row before a pod that was ready stops being so: a blip must not take every pod out at once.
    static let patience = 3
    /// How long the first readiness waits for the memory index; then a pool without it is better than none.
    static let indexPatience = Duration.seconds(30)

    enum Status: Sendable, Equatable {
        /// No report yet, or never a good one.
        case starting
        case ready
        /// Serving, with less than the manifest promises.
        case degraded([String])
        case unavailable(String)
    }

    private(set) var status = Status.starting
    private var failures = 0
    private var hasBeenReady = false

    var isReady: Bool {
        switch status {
        case .ready, .degraded: true
        case .starting, .unavailable: false
        }
    }

    /// - Parameter uptime: since the first report was asked for.
    mutating func observe(_ health: MemoryHealth, after uptime: Duration) {
        if case .failing(let reason) = health.checkpoints {
            failures += 1
            if status == .starting || failures >= Self.patience {
                status = .unavailable("the session store fails: \(reason)")
            }
            return
        }
        failures = 0
        if case .failing = health.index, !hasBeenReady, uptime < Self.indexPatience {
            status = .starting
            return
        }
        hasBeenReady = true
        var reasons: [String] = []
        if case .failing(let reason) = health.index { reasons.append("the memory index fails: \(reason)") }
        reasons += health.warnings
        if health.plansParked > 0 {
            reasons.append("\(health.plansParked) batches could not be archived and are parked")
        }
        status = reasons.isEmpty ? .ready : .degraded(reasons)
    }
}

// Counts a client's running requests, and refuses one too many.

import Synchronization

final class ClientStatistics: Sendable {
    private let maxRequests: Int
    private let running = Atomic<Int>(0)
    private let mostWaiting = Atomic<Int>(0)

    init(maxRequests: Int) {
        self.maxRequests = maxRequests
    }

    var snapshot: HTTPClient.Statistics {
        HTTPClient.Statistics(
            runningRequests: running.load(ordering: .relaxed),
            mostBytesWaiting: mostWaiting.load(ordering: .relaxed))
    }

    func sawWaiting(_ bytes: Int) {
        mostWaiting.max(bytes, ordering: .relaxed)
    }

    fileprivate func enter() -> Bool {
        if running.add(1, ordering: .relaxed).newValue <= maxRequests { return true }
        leave()
        return false
    }

    fileprivate func leave() {
        running.subtract(1, ordering: .relaxed)
    }
}

/// The right to run one request, given back when it is consumed or dropped.
struct RequestSlot: ~Copyable, Sendable {
    private let counters: ClientStatistics

    /// Nil when as many requests run as may.
    init?(_ counters: ClientStatistics) {
        guard counters.enter() else { return nil }
        self.counters = counters
    }

    deinit {
        counters.leave()
    }
}

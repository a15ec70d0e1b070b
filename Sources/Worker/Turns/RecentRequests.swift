/// Remembers for a while which session a request without one was given, so that an SDK's retry finds it again. Bounded.
import Memory
import Synchronization

/// The SDK sends a retry as the same body with a count in a header; it has not seen the session id that the lost answer carried.
struct RecentRequests: Sendable {
    struct Key: Hashable, Sendable {
        var principal: Principal
        var digest: String
    }

    static let capacity = 4096
    static let lifetime: Duration = .seconds(600)

    private var sessions: [Key: (session: SessionID, at: ContinuousClock.Instant)] = [:]
    /// In the order they came. May name keys that have been remembered anew since.
    private var order: [(key: Key, at: ContinuousClock.Instant)] = []
    private var firstInOrder = 0

    mutating func remember(_ session: SessionID, for key: Key, now: ContinuousClock.Instant) {
        sessions[key] = (session, now)
        order.append((key, now))
        while order.count - firstInOrder > Self.capacity
            || (firstInOrder < order.count && order[firstInOrder].at.duration(to: now) > Self.lifetime)
        {
            let oldest = order[firstInOrder]
            if sessions[oldest.key]?.at == oldest.at { sessions[oldest.key] = nil }
            firstInOrder += 1
        }
        if firstInOrder > Self.capacity {
            order.removeFirst(firstInOrder)
            firstInOrder = 0
        }
    }

    func session(for key: Key, now: ContinuousClock.Instant) -> SessionID? {
        guard let entry = sessions[key], entry.at.duration(to: now) <= Self.lifetime else { return nil }
        return entry.session
    }
}

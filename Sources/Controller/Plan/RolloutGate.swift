/// Decides which pools may roll when a new version of the operator changes all of them: a few at one time.
import PoolAPI

/// Lets at most `limit` pools roll at once. A pool that has been let through counts until its Deployment is seen to roll, and then until
/// it has rolled out, or for `patience`.
struct RolloutGate: Sendable {
    typealias Instant = ContinuousClock.Instant

    let limit: Int
    /// A roll-out that takes longer holds nobody up.
    let patience: Duration

    private struct Admission {
        var since: Instant
        /// Of the Deployment as the apply left it; nil until it has answered.
        var generation: Int?
    }

    private var admitted: [PoolReference: Admission] = [:]
    /// In the order in which they were refused.
    private var waiting: [PoolReference] = []
    private var isWaiting: Set<PoolReference> = []

    init(limit: Int = 5, patience: Duration = .seconds(1200)) {
        self.limit = limit
        self.patience = patience
    }

    var waitingCount: Int { waiting.count }

    /// Asks whether the pool may roll now.
    ///
    /// - Parameter rolling: The pools whose Deployments are seen to roll.
    mutating func admit(_ pool: PoolReference, rolling: Set<PoolReference>, _ now: Instant) -> Bool {
        admitted = admitted.filter { $0.value.since.duration(to: now) < patience }
        let others = rolling.union(admitted.keys).subtracting([pool])
        guard others.count < limit else {
            if isWaiting.insert(pool).inserted { waiting.append(pool) }
            return false
        }
        forget(pool)
        admitted[pool] = Admission(since: now)
        return true
    }

    /// Tells what the apply of an admitted pool's Deployment made of it; nil where it failed.
    mutating func applied(_ pool: PoolReference, generation: Int?) {
        guard admitted[pool] != nil else { return }
        if let generation { admitted[pool]?.generation = generation } else { admitted[pool] = nil }
    }

    /// Tells that a pool's Deployment of this generation has rolled out; one that is gone counts as any generation.
    ///
    /// - Returns: The pools that should ask again.
    mutating func rolledOut(_ pool: PoolReference, generation: Int = .max) -> [PoolReference] {
        if let admission = admitted[pool] {
            // Word of the Deployment as it was before says nothing.
            guard let applied = admission.generation ?? (generation == .max ? 0 : nil), applied <= generation
            else { return [] }
            admitted[pool] = nil
        }
        if generation == .max { forget(pool) }
        return Array(waiting.prefix(limit))
    }

    private mutating func forget(_ pool: PoolReference) {
        if isWaiting.remove(pool) != nil { waiting.removeAll { $0 == pool } }
    }
}

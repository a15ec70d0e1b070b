/// Remembers what pools' specs ask for, so that a look at a pool in which nothing has changed reads no spec and builds no manifest.
import Kubernetes
import PoolAPI
import Synchronization

/// Safe to use from several tasks. Keeps a digest and a name for each child, not its manifest: a manifest is only wanted when it
/// is sent, and building it again then costs less than keeping those of thousands of pools.
final class DesiredMemo: Sendable {
    private struct Entry: Sendable {
        var uid: ObjectUID
        var generation: Int
        var desired: Desired
    }

    private struct State: Sendable {
        var features: ClusterFeatures
        var entries: [PoolReference: Entry] = [:]
    }

    private let settings: OperatorSettings
    private let state = Mutex(State(features: ClusterFeatures()))

    init(settings: OperatorSettings) {
        self.settings = settings
    }

    /// What the pool's spec asks of a cluster with these features, its manifests left out where it was asked for before.
    /// - Throws: What `AgentPool.decode` and `Desired.init` throw, each time anew.
    func desired(_ key: PoolReference, _ pool: PoolRecord, _ features: ClusterFeatures) throws -> Desired {
        let known = state.withLock { state in
            if state.features != features { state = State(features: features) }
            return state.entries[key]
        }
        if let known, known.uid == pool.uid, known.generation == pool.generation { return known.desired }
        let desired = try whole(pool, features)
        state.withLock { state in
            guard state.features == features else { return }
            state.entries[key] = Entry(
                uid: pool.uid, generation: pool.generation, desired: desired.withoutManifests)
        }
        return desired
    }

    /// The same with all manifests.
    func whole(_ pool: PoolRecord, _ features: ClusterFeatures) throws -> Desired {
        try Desired(
            PoolContext(
                pool: AgentPool.decode(pool.manifest), uid: pool.uid.text, settings: settings,
                features: features))
    }

    func forget(_ key: PoolReference) {
        state.withLock { $0.entries[key] = nil }
    }
}

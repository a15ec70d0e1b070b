/// The one copy of what is known of the cluster, between the watches that fill it and the workers that read it.
import Kubernetes
import PoolAPI
import Synchronization

final class ClusterCache: Sendable {
    private let state = Mutex(ClusterState())

    /// Nil where neither the pool nor anything that it owned is known.
    subscript(pool: PoolReference) -> ClusterState.Entry? { state.withLock { $0[pool] } }

    /// Pools whose Deployment has pods of two templates, or will soon.
    var rolling: Set<PoolReference> { state.withLock { $0.rolling } }
    var pools: [PoolReference] {
        state.withLock { state in state.entries.filter { $0.value.pool != nil }.map(\.key) }
    }
    var poolCount: Int { state.withLock { state in state.entries.count { $0.value.pool != nil } } }

    /// What `body` makes of the state, in one go.
    func update<Result: Sendable>(_ body: (inout ClusterState) -> Result) -> Result {
        state.withLock { state in body(&state) }
    }
}

/// The gate of roll-outs as workers share it.
import PoolAPI
import Synchronization

final class Rollouts: Sendable {
    private let gate: Mutex<RolloutGate>

    init(limit: Int) {
        gate = Mutex(RolloutGate(limit: limit))
    }

    var waitingCount: Int { gate.withLock { $0.waitingCount } }

    func admit(_ pool: PoolReference, rolling: Set<PoolReference>) -> Bool {
        gate.withLock { $0.admit(pool, rolling: rolling, .now) }
    }

    func applied(_ pool: PoolReference, generation: Int?) {
        gate.withLock { $0.applied(pool, generation: generation) }
    }

    /// - Parameter deployment: nil where it is gone.
    /// - Returns: The pools that should ask again.
    func observe(_ pool: PoolReference, _ deployment: DeploymentRecord?) -> [PoolReference] {
        guard let deployment else { return gate.withLock { $0.rolledOut(pool) } }
        guard !deployment.isRolling else { return [] }
        return gate.withLock { $0.rolledOut(pool, generation: deployment.generation) }
    }
}

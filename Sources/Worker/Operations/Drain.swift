/// Carries out a drain, once, whoever asked for it: the signal, or the pod's preStop hook over the admin port.
import Logging
import Synchronization

final class Drain: Sendable {
    private struct Shared: Sendable {
        var state = DrainState()
        var wasRequested = false
        /// The worker's own tasks; the callers of the admin port. Bounded by its connections.
        var untilRequested: [CheckedContinuation<Void, Never>] = []
        var untilCompleted: [CheckedContinuation<Void, Never>] = []
    }

    private let shared = Mutex(Shared())

    var phase: DrainState.Phase { shared.withLock { $0.state.phase } }

    /// Asks for the drain. Idempotent.
    func request() {
        let waiting = shared.withLock { shared in
            shared.wasRequested = true
            defer { shared.untilRequested = [] }
            return shared.untilRequested
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Returns when somebody has asked.
    func requested() async {
        await withCheckedContinuation { continuation in
            let already = shared.withLock { shared in
                if !shared.wasRequested { shared.untilRequested.append(continuation) }
                return shared.wasRequested
            }
            if already { continuation.resume() }
        }
    }

    func begin(delay: Duration) -> DrainState.StartAction {
        shared.withLock { $0.state.start(delay: delay) }
    }

    func delayEnded() { shared.withLock { $0.state.delayEnded() } }

    func finished() {
        let waiting = shared.withLock { shared in
            shared.state.finished()
            defer { shared.untilCompleted = [] }
            return shared.untilCompleted
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Returns when the drain is over.
    func completed() async {
        await withCheckedContinuation { continuation in
            let already = shared.withLock { shared in
                if shared.state.phase == .drained { return true }
                shared.untilCompleted.append(continuation)
                return false
            }
            if already { continuation.resume() }
        }
    }
}

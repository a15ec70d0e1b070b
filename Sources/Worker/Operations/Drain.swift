/// How far a drain is, and who waits for which of its steps. It happens once, whoever asked for it: the signal, or the pod's preStop hook.
import Logging
import Synchronization

final class Drain: Sendable {
    private let state = Mutex(DrainState())
    /// Somebody has asked for it.
    let requested = OnceSignal()
    /// New turns are refused from here on.
    let finishing = OnceSignal()
    /// The time is over for what still runs.
    let cut = OnceSignal()
    let completed = OnceSignal()

    var phase: DrainState.Phase { state.withLock(\.phase) }
    var hasCut: Bool { state.withLock(\.hasCut) }

    func begin(delay: Duration) -> DrainState.StartAction {
        state.withLock { $0.start(delay: delay) }
    }

    func delayEnded() {
        state.withLock { $0.delayEnded() }
        finishing.set()
    }

    /// - Returns: false where it was over before.
    @discardableResult
    func timeIsOver() -> Bool {
        guard state.withLock({ $0.timeIsOver() }) else { return false }
        finishing.set()
        cut.set()
        return true
    }

    func finished() {
        state.withLock { $0.finished() }
        completed.set()
    }
}

/// The drain's time was over, or somebody could not wait, before all turns had ended.
public struct DrainCut: Error, CustomStringConvertible {
    public var description: String {
        "the drain was cut before all turns had ended; their clients were told to come again"
    }
}

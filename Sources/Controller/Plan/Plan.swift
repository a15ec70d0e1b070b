/// What is to be done for a pool now, in order.
import Kubernetes
import PoolAPI

struct Plan: Sendable, Equatable {
    var steps: [Step] = []
    var findings: [Finding] = []
    /// Whether the roll-out waits for other pools'.
    var isHeldBack = false
    /// Whether something was left out that another look will find done or ready to be done.
    var isUnfinished = false
    /// Whether what stands in the way is looked at again after a growing delay.
    var isToBeRetried = false
    /// When to look again though nothing has changed; nil: at the next resync.
    var lookAgain: Duration?
    /// Sent before the steps.
    var notes: [EventNote] = []
    /// Whether a status is written after the steps.
    var hasStatus = true

    /// Whether a step sends a manifest that was left out.
    var needsManifests: Bool {
        steps.contains { if case .apply(let child) = $0 { child.body == nil } else { false } }
    }
}

enum Step: Sendable, Equatable {
    /// Writes the pool's list of finalizers.
    case setFinalizers([String])
    case delete(ChildID, ObjectUID, Propagation)
    /// Makes the replicas belong to a second manager, so that they stay when the next apply leaves them out.
    case handOverReplicas(ChildID, ObjectUID, replicas: Int)
    case apply(DesiredChild)
    /// Ends what `handOverReplicas` began.
    case releaseReplicas(ChildID, ObjectUID)

    enum Propagation: Sendable {
        case background
        /// The object stays until what it owns is gone.
        case foreground
    }
}

extension Step: CustomStringConvertible {
    /// For the log, without the manifest.
    var description: String {
        switch self {
        case .setFinalizers(let finalizers): "set finalizers \(finalizers)"
        case .delete(let id, _, let propagation):
            propagation == .foreground ? "delete \(id) and wait for what it owns" : "delete \(id)"
        case .handOverReplicas(let id, _, let replicas): "hand over the \(replicas) replicas of \(id)"
        case .apply(let child): "apply \(child.id)"
        case .releaseReplicas(let id, _): "release the replicas of \(id)"
        }
    }

    /// Whether it is more than bringing an object to what it should be.
    var isRemarkable: Bool { if case .apply = self { false } else { true } }
}

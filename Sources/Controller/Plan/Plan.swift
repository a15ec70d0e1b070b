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

    enum Propagation: String, Sendable {
        case background = "Background"
        /// The object stays until what it owns is gone.
        case foreground = "Foreground"
    }
}

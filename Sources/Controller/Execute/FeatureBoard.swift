/// What the cluster is known to serve, between the loop that asks and whoever depends on it.
import Kubernetes
import Synchronization

final class FeatureBoard: Sendable {
    private let state: Mutex<ClusterFeatures>
    private let changes: [ChildKind: Nudge]

    /// Kinds that some clusters have and others don't.
    static let optionalKinds: [ChildKind] = [.scaledObject, .httpRoute]

    init(_ features: ClusterFeatures) {
        state = Mutex(features)
        changes = Dictionary(uniqueKeysWithValues: Self.optionalKinds.map { ($0, Nudge()) })
    }

    var current: ClusterFeatures { state.withLock { $0 } }

    /// - Returns: Whether anything has changed.
    func update(_ features: ClusterFeatures) -> Bool {
        let hasChanged = state.withLock { known in
            defer { known = features }
            return known != features
        }
        if hasChanged { changes.values.forEach { $0.send() } }
        return hasChanged
    }

    func serves(_ kind: ChildKind) -> Bool {
        switch kind {
        case .scaledObject: current.hasKEDA
        case .httpRoute: current.httpRoute != .absent
        default: true
        }
    }

    /// Returns once the cluster serves the kind, or no longer does, or the task is cancelled. One waiter a kind.
    func wait(for kind: ChildKind, toBeServed wanted: Bool) async {
        while serves(kind) != wanted, !Task.isCancelled { await changes[kind]?.wait() }
    }
}

/// The kinds of objects that pools own, in one byte.
import Kubernetes

enum ChildKind: UInt8, Sendable, Hashable, CaseIterable {
    case serviceAccount, configMap, persistentVolumeClaim, service, networkPolicy, podDisruptionBudget
    case deployment, horizontalPodAutoscaler, scaledObject, ingress, httpRoute, job

    init?(_ resource: ResourceKind) {
        guard let kind = Self.allCases.first(where: { $0.resource == resource }) else { return nil }
        self = kind
    }

    var resource: ResourceKind {
        switch self {
        case .serviceAccount: .serviceAccounts
        case .configMap: .configMaps
        case .persistentVolumeClaim: .persistentVolumeClaims
        case .service: .services
        case .networkPolicy: .networkPolicies
        case .podDisruptionBudget: .podDisruptionBudgets
        case .deployment: .deployments
        case .horizontalPodAutoscaler: .horizontalPodAutoscalers
        case .scaledObject: .scaledObjects
        case .ingress: .ingresses
        case .httpRoute: .httpRoutes
        case .job: .jobs
        }
    }

    /// Whether it changes the Deployment's replicas.
    var isAutoscaler: Bool { self == .horizontalPodAutoscaler || self == .scaledObject }
}

/// Names one child among all of its pool.
struct ChildID: Sendable, Hashable {
    var kind: ChildKind
    var name: String
}

extension ChildID: CustomStringConvertible {
    /// As people write it, such as `Service support-admin`.
    var description: String { "\(kind.resource.kind) \(name)" }
}

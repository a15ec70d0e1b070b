/// Something about a pool that its owner should know, with the stable word under which programs find it.

struct Finding: Sendable, Hashable {
    enum Reason: String, Sendable, CaseIterable {
        /// The spec breaks a rule; nothing of it is applied.
        case invalidSpec = "InvalidSpec"
        /// The spec asks for what this version can't serve.
        case unsupportedField = "UnsupportedField"
        /// The cluster has no Gateway API, and the spec asks for a route.
        case gatewayUnavailable = "GatewayUnavailable"
        /// An object that somebody else owns stands where a child should.
        case nameConflict = "NameConflict"
        /// The API server won't have a child as it is.
        case applyRefused = "ApplyRefused"
        /// The Deployment's pods don't come up in time.
        case rolloutStalled = "ProgressDeadlineExceeded"
        /// The cluster's gateways can't keep a session on one pod.
        case affinityUnavailable = "AffinityUnavailable"
        /// Without KEDA nothing scales by sessions.
        case loadScalingUnavailable = "LoadScalingUnavailable"
        /// Memory goes with its pod.
        case ephemeral = "EmbeddedWithoutVolume"
    }

    var reason: Reason
    /// The field or the object that it is about; empty where it is about the pool as a whole.
    var subject: String
    /// What is the matter, and the mend.
    var message: String

    init(_ reason: Reason, _ subject: String, _ message: String) {
        self.reason = reason
        self.subject = subject
        self.message = message
    }

    /// A sentence for people.
    var text: String { subject.isEmpty ? message : "\(subject): \(message)" }

    /// Whether the pool can't become what its spec says before somebody does something about it.
    var stalls: Bool {
        switch reason {
        case .invalidSpec, .unsupportedField, .gatewayUnavailable, .nameConflict, .applyRefused,
            .rolloutStalled:
            true
        case .affinityUnavailable, .loadScalingUnavailable, .ephemeral: false
        }
    }

    /// Whether the pool serves, but not all that its spec asks for.
    var degrades: Bool { reason == .affinityUnavailable || reason == .loadScalingUnavailable }
}

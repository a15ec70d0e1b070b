/// What the cluster reports about a pool, in the form that `kubectl wait` and kstatus tools read.

public struct AgentPoolStatus: Sendable, Equatable, Codable {
    /// The `metadata.generation` that this status speaks of.
    public var observedGeneration: Int?
    /// Pods that exist.
    public var replicas: Int?
    /// Pods that take turns.
    public var readyReplicas: Int?
    /// Pods of the current configuration.
    public var updatedReplicas: Int?
    /// The label selector of the pods, as text, for `/scale`.
    public var selector: String?
    /// Where clients reach the pool.
    public var url: String?
    /// Sessions with a turn within `memory.session.idleTTL`, counted once in the pool.
    public var activeSessions: Int?
    public var conditions: [Condition]?

    public init(
        observedGeneration: Int? = nil, replicas: Int? = nil, readyReplicas: Int? = nil,
        updatedReplicas: Int? = nil, selector: String? = nil, url: String? = nil,
        activeSessions: Int? = nil, conditions: [Condition]? = nil
    ) {
        self.observedGeneration = observedGeneration
        self.replicas = replicas
        self.readyReplicas = readyReplicas
        self.updatedReplicas = updatedReplicas
        self.selector = selector
        self.url = url
        self.activeSessions = activeSessions
        self.conditions = conditions
    }

    /// One aspect of the pool's state, such as Ready, Reconciling or Stalled.
    public struct Condition: Sendable, Equatable, Codable {
        public var type: String
        /// `True`, `False` or `Unknown`.
        public var status: String
        /// A stable word for programs.
        public var reason: String
        /// A sentence for people.
        public var message: String
        /// RFC 3339.
        public var lastTransitionTime: String
        public var observedGeneration: Int?

        public init(
            type: String, status: String, reason: String, message: String, lastTransitionTime: String,
            observedGeneration: Int? = nil
        ) {
            self.type = type
            self.status = status
            self.reason = reason
            self.message = message
            self.lastTransitionTime = lastTransitionTime
            self.observedGeneration = observedGeneration
        }
    }
}

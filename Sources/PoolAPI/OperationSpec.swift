/// The specification's operation: limits of a pod, scaling, routes, drain and access.

extension AgentPoolSpec {
    /// Limits of one pod.
    public struct Concurrency: Codable, Sendable, Equatable {
        public var maxRunningTurns: Int
        /// Turns that wait for a place; beyond it a request is refused at once.
        public var maxQueuedTurns: Int
        public var turnTimeout: DurationText
    }

    public struct Autoscaling: Codable, Sendable, Equatable {
        public var minReplicas: Int
        public var maxReplicas: Int
        /// Active sessions a pod.
        public var targetActiveSessions: Int
        /// Waiting turns a pod.
        public var targetPendingRequests: Int
        /// CPU a pod; absent, CPU does not scale the pool.
        public var targetCPU: CPUQuantity?
        public var scaleDownWindow: DurationText
    }

    public struct Ingress: Codable, Sendable, Equatable {
        public var host: String
        public var className: String?
        public var tlsSecretName: String?
        public var annotations: [String: String]
        public var affinity: Affinity

        /// How the proxy sends a session's requests to one pod.
        public struct Affinity: Codable, Sendable, Equatable {
            public var provider: Provider
            public var by: Key
            public var maxAge: DurationText

            public enum Provider: String, Codable, Sendable, CaseIterable {
                case nginx = "Nginx"
                case traefik = "Traefik"
                case haproxy = "HAProxy"
                /// No annotations of ours: the proxy is left as it is.
                case none = "None"
            }

            public enum Key: String, Codable, Sendable, CaseIterable {
                case cookie = "Cookie"
                case header = "Header"
            }
        }
    }

    /// A route on a Gateway, in place of an Ingress.
    public struct Gateway: Codable, Sendable, Equatable {
        public var parentRefs: [ParentRef]
        public var hostnames: [String]

        public struct ParentRef: Codable, Sendable, Equatable {
            public var name: String
            /// Absent: the pool's own.
            public var namespace: String?
        }
    }

    public struct Drain: Codable, Sendable, Equatable {
        /// How long a pod under deletion goes on as before, while proxies learn of it.
        public var delay: DurationText
        /// How long running turns may take after the delay.
        public var timeout: DurationText
    }

    public struct Auth: Codable, Sendable, Equatable {
        public var mode: Mode
        /// The Secret's keys are the names of the credentials, its values the API keys.
        public var apiKeysSecretRef: ObjectRef?
        /// Credentials that may name the end user they speak for.
        public var trustedKeys: [String]
        public var jwt: JWT?

        public enum Mode: String, Codable, Sendable, CaseIterable {
            case apiKeys = "APIKeys"
            case jwt = "JWT"
            case none = "None"
        }

        public struct JWT: Codable, Sendable, Equatable {
            public var issuer: String
            public var audience: String
            public var jwksURL: String
        }
    }

    public struct Pod: Codable, Sendable, Equatable {
        /// A partial pod template, merged over the controller's; the container is called `worker`.
        public var template: [String: JSONValue]
    }
}

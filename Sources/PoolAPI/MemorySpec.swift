/// The specification's memory: the three tiers, archiving and recall.

extension AgentPoolSpec {
    public struct Memory: Codable, Sendable, Equatable {
        /// Whose memory this is; pools of one scope share it. Immutable.
        public var scope: String
        public var session: Session
        /// The second tier; absent, the embedded store.
        public var redis: Redis?
        /// The third tier; absent, the embedded store.
        public var milvus: Milvus?
        public var embedded: Embedded
        public var buffer: Buffer
        public var recall: Recall
        /// The name of a model with `dimensions` in `models`.
        public var embeddingModel: String
        public var reclaimPolicy: ReclaimPolicy

        /// How long a session's state is kept after its last turn: the value of the second tier in use.
        public var checkpointTTL: Duration { (redis?.checkpointTTL ?? embedded.checkpointTTL).duration }
    }

    /// The first tier: sessions in a worker's own memory.
    public struct Session: Codable, Sendable, Equatable {
        public var maxBytes: ByteQuantity
        public var idleTTL: DurationText
    }

    /// The second tier, shared by the pool's pods.
    public struct Redis: Codable, Sendable, Equatable {
        public var mode: Mode
        /// `host:port`, one or more.
        public var addresses: [String]
        /// The Secret's keys are `username` and `password`.
        public var secretRef: ObjectRef?
        /// Present: connections use TLS.
        public var tls: TLS?
        public var checkpointTTL: DurationText
        /// Replicas that must confirm a turn before it is acknowledged.
        public var waitReplicas: Int

        public enum Mode: String, Codable, Sendable, CaseIterable {
            case standalone = "Standalone"
            case cluster = "Cluster"
        }

        public struct TLS: Codable, Sendable, Equatable {
            /// A PEM bundle that replaces the system's authorities.
            public var caSecretRef: SecretKeyRef?
            /// A client's certificate: the Secret's keys are `tls.crt` and `tls.key`.
            public var certificateSecretRef: ObjectRef?
            /// The name that the server's certificate must carry; absent, the host's.
            public var serverName: String?
        }
    }

    /// The third tier: vectors of archived batches.
    public struct Milvus: Codable, Sendable, Equatable {
        public var address: String
        /// The Secret's keys are `username` and `password`, or `token`.
        public var secretRef: ObjectRef?
        public var collection: String
        /// How long an archived batch is kept.
        public var retention: DurationText
    }

    /// The second and third tier in one SQLite file beside the worker.
    public struct Embedded: Codable, Sendable, Equatable {
        /// The size of the volume that keeps the file; absent, the file goes with the pod.
        public var storage: ByteQuantity?
        public var checkpointTTL: DurationText
    }

    public struct Buffer: Codable, Sendable, Equatable {
        /// Turns that are archived together as one memory.
        public var rounds: Int
    }

    public struct Recall: Codable, Sendable, Equatable {
        /// Memories that a turn is given at most.
        public var topK: Int
        /// Memories that score less are left out; 0 to 1.
        public var minScore: Double
        /// How long a turn waits for each search.
        public var deadline: DurationText
        /// How long a turn waits for the embedding of its question.
        public var embeddingDeadline: DurationText
    }

    /// What becomes of a pool's memory when the pool is deleted.
    public enum ReclaimPolicy: String, Codable, Sendable, CaseIterable {
        case retain = "Retain"
        case delete = "Delete"
    }
}

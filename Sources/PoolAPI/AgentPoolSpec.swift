/// A pool's specification, the manifest's `spec`: agents, the models they talk to, and their tools and skills.
///
/// A value made by `ManifestFile.parse` or `WorkerConfig.decode` has every default filled in and has passed validation. An optional
/// field is one that may be absent then too.
public struct AgentPoolSpec: Codable, Sendable, Equatable {
    public var models: [Model]
    /// The agent that takes a session's first turn.
    public var entryAgent: String
    public var agents: [Agent]
    public var routing: Routing
    public var mcpServers: [MCPServer]
    public var skills: [Skill]
    public var workflow: Workflow?
    public var `guard`: Guard
    public var memory: Memory
    public var concurrency: Concurrency
    /// Pods of the pool where `autoscaling` is absent.
    public var replicas: Int
    public var autoscaling: Autoscaling?
    public var ingress: Ingress?
    public var gateway: Gateway?
    public var drain: Drain
    public var auth: Auth
    /// The worker's container image; absent, the controller's own.
    public var image: String?
    public var pod: Pod?
}

/// One key of a Secret in the pool's namespace.
public struct SecretKeyRef: Codable, Sendable, Hashable {
    public var name: String
    public var key: String

    public init(name: String, key: String) {
        self.name = name
        self.key = key
    }
}

/// A Secret or ConfigMap in the pool's namespace, all of its keys.
public struct ObjectRef: Codable, Sendable, Hashable {
    public var name: String

    public init(name: String) {
        self.name = name
    }
}

extension AgentPoolSpec {
    /// A chat or embedding model; one that has `dimensions` makes embeddings.
    public struct Model: Codable, Sendable, Equatable {
        /// How agents name it.
        public var name: String
        public var provider: ModelProvider
        /// The API's root, which ends in `/v1` as a rule. Present unless the provider is `builtin`.
        public var baseURL: String?
        /// How the endpoint names it.
        public var model: String
        public var apiKeySecretRef: SecretKeyRef?
        /// Sent with each request, such as `temperature`.
        public var parameters: [String: JSONValue]
        /// The length of an embedding.
        public var dimensions: Int?
        public var httpVersion: HTTPVersionPreference

        /// Whether it makes embeddings rather than replies.
        public var isEmbeddingModel: Bool { dimensions != nil }
    }

    /// Who answers for a model.
    public enum ModelProvider: String, Codable, Sendable, CaseIterable {
        /// Any endpoint with OpenAI's API.
        case openai
        /// The offline models that every worker carries.
        case builtin
    }

    /// The HTTP version asked of a model's endpoint.
    public enum HTTPVersionPreference: String, Codable, Sendable, CaseIterable {
        case http1 = "HTTP1"
        case http2 = "HTTP2"
    }

    public struct Agent: Codable, Sendable, Equatable {
        public var name: String
        /// What it is for; routing between agents reads it.
        public var description: String
        public var instructions: String
        /// The name of a chat model in `models`.
        public var model: String
        /// Names of `mcpServers`.
        public var tools: [String]
        /// Names of `skills`.
        public var skills: [String]
        /// Names of the agents that it may hand a conversation to.
        public var handoffs: [String]
        /// Names of the agents that it may ask, as tools.
        public var agentTools: [String]
        /// Utterances that it should get; routing between agents reads them.
        public var examples: [String]
    }

    /// Which agent takes a turn that names none.
    public struct Routing: Codable, Sendable, Equatable {
        public var by: Choice
        public var when: Occasion
        /// The embedding model that tells how near a description is; absent, the words that are shared do.
        public var embeddingModel: String?
        /// How well an agent must fit to be chosen by its description, 0...1.
        public var minScore: Double
        /// Tried first, in order.
        public var rules: [Rule]

        public enum Choice: String, Codable, Sendable, CaseIterable {
            /// `entryAgent`.
            case entry = "Entry"
            /// The one whose description or examples are nearest; `entryAgent` where none is near enough.
            case description = "Description"
        }

        public enum Occasion: String, Codable, Sendable, CaseIterable {
            /// A session's first turn; the session then stays with its agent.
            case firstTurn = "FirstTurn"
            /// Each turn; where nothing fits the session stays with its agent.
            case everyTurn = "EveryTurn"
        }

        public struct Rule: Codable, Sendable, Equatable {
            /// A pattern (`LinearPattern`), looked for in what the user says.
            public var pattern: String
            public var agent: String
        }
    }

    /// A server of tools over the Model Context Protocol. One of `url` and `command` is present; in a cluster it is `url`.
    public struct MCPServer: Codable, Sendable, Equatable {
        public var name: String
        public var url: String?
        /// The process that is the server: a program, looked up in `PATH`, and its arguments.
        public var command: [String]?
        /// Variables of the process's environment.
        public var env: [String: String]?
        /// The Secret's keys are the names of request headers.
        public var headersSecretRef: ObjectRef?
        /// The tools that agents see; absent, all of them.
        public var allow: [String]?
        /// Tools that run only after a person agreed.
        public var requireApproval: [String]
        /// How long one call may take.
        public var timeout: DurationText
    }

    /// A folder of instructions and files that an agent reads when it needs them. Exactly one of `configMapRef` and `volume` is
    /// present.
    public struct Skill: Codable, Sendable, Equatable {
        public var name: String
        public var configMapRef: ConfigMapFiles?
        public var volume: Volume?

        public struct ConfigMapFiles: Codable, Sendable, Equatable {
            public var name: String
            /// Absent: every key is a file of its name.
            public var items: [Item]?
        }

        public struct Item: Codable, Sendable, Equatable {
            public var key: String
            /// Below the skill's folder.
            public var path: String
        }

        public struct Volume: Codable, Sendable, Equatable {
            public var claimName: String
            /// The folder in the volume; absent, its root.
            public var subPath: String?
        }
    }
}

/// The graph of a turn as a manifest writes it: steps by name, what each of them does, and the edges between them.

extension AgentPoolSpec {
    public struct Workflow: Codable, Sendable, Equatable {
        /// The name of the node where a turn begins.
        public var start: String
        public var nodes: [Node]
        /// Tried in their order; the first whose condition holds is taken.
        public var edges: [Edge]

        /// What an edge leads to that ends the turn; no node is called so.
        public static let end = "end"

        public init(start: String, nodes: [Node], edges: [Edge]) {
            self.start = start
            self.nodes = nodes
            self.edges = edges
        }
    }
}

extension AgentPoolSpec.Workflow {
    /// A step. Of the members after `kind` it has the one of its kind, where that kind has any.
    public struct Node: Codable, Sendable, Equatable {
        public var name: String
        public var kind: NodeKind
        public var converse: Converse?
        public var callTool: CallTool?
        public var httpCall: HTTPCall?
        public var condition: Condition?
        public var parallel: Parallel?

        public init(
            name: String, kind: NodeKind, converse: Converse? = nil, callTool: CallTool? = nil,
            httpCall: HTTPCall? = nil, condition: Condition? = nil, parallel: Parallel? = nil
        ) {
            self.name = name
            self.kind = kind
            self.converse = converse
            self.callTool = callTool
            self.httpCall = httpCall
            self.condition = condition
            self.parallel = parallel
        }
    }

    public enum NodeKind: String, Codable, Sendable, CaseIterable {
        /// Refuses what `spec.guard` forbids, and decides whether memories could help.
        case inputGuard
        /// Asks the memory for what fits the user's words.
        case recall
        /// An agent's model answers, with the tools that it asks for.
        case converse
        /// Calls one tool of a server, without a model's asking.
        case callTool
        /// Sends one HTTP request.
        case httpCall
        /// Looks for a pattern in what the turn has come to.
        case condition
        /// Carries out several other nodes side by side.
        case parallel
        /// Makes the turn durable.
        case commit
        /// Archives the batch that the commit completed, if it did.
        case summarize
    }

    public struct Converse: Codable, Sendable, Equatable {
        /// Who answers, and has the session from there on; absent, whoever has it.
        public var agent: String?
    }

    public struct CallTool: Codable, Sendable, Equatable {
        /// The name of one of `spec.mcpServers`.
        public var server: String
        /// The tool as its server calls it.
        public var tool: String
        /// Their texts are templates.
        public var arguments: [String: JSONValue]
    }

    public struct HTTPCall: Codable, Sendable, Equatable {
        public var url: String
        public var method: Method
        /// Parameters of the URL, templates.
        public var query: [String: String]
        /// Sent as JSON; its texts are templates.
        public var body: [String: JSONValue]?
        /// The Secret's keys are the names of request headers.
        public var headersSecretRef: ObjectRef?
        public var timeout: DurationText

        public enum Method: String, Codable, Sendable, CaseIterable {
            case get = "GET"
            case post = "POST"
            case put = "PUT"
            case patch = "PATCH"
            case delete = "DELETE"
        }
    }

    public struct Condition: Codable, Sendable, Equatable {
        /// A template.
        public var text: String
        /// A pattern (`LinearPattern`), looked for in that text.
        public var matches: String
    }

    public struct Parallel: Codable, Sendable, Equatable {
        /// Names of nodes of the kinds `recall`, `callTool` and `httpCall`, which have no edges of their own.
        public var nodes: [String]
    }

    public struct Edge: Codable, Sendable, Equatable {
        public var from: String
        /// A node's name, or `end`.
        public var to: String
        /// The condition under which the edge is taken; absent, always.
        public var when: When?

        public init(from: String, to: String, when: When? = nil) {
            self.from = from
            self.to = to
            self.when = when
        }
    }

    public enum When: String, Codable, Sendable, CaseIterable {
        /// The guard found that memories may help.
        case memoryWanted
        /// The condition's pattern was found.
        case matched
        /// One of the node's calls was not done.
        case failed
        /// The commit completed a batch.
        case planned
    }
}

extension AgentPoolSpec.Workflow {
    /// `inputGuard -> recall -> converse -> commit -> summarize`, where the guard may pass recall by, and only a commit
    /// that completed a batch is followed by a summary. Used where the manifest has no workflow.
    public static let standard = AgentPoolSpec.Workflow(
        start: "inputGuard",
        nodes: [NodeKind.inputGuard, .recall, .converse, .commit, .summarize].map {
            Node(name: $0.rawValue, kind: $0)
        },
        edges: [
            Edge(from: "inputGuard", to: "recall", when: .memoryWanted),
            Edge(from: "inputGuard", to: "converse"),
            Edge(from: "recall", to: "converse"),
            Edge(from: "converse", to: "commit"),
            Edge(from: "commit", to: "summarize", when: .planned),
        ])
}

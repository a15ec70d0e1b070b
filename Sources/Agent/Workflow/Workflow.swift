/// The graph of a turn as a value: which node runs first, and which one after it under which condition.
///
/// Nodes are known by name. After a node its edges are tried in the order in which they were given; the first
/// whose condition holds is taken. Where none holds the turn ends.
public struct Workflow: Sendable, Equatable {
    /// What a node does.
    public enum NodeKind: String, Sendable, CaseIterable {
        case inputGuard, recall, converse, commit, summarize
    }

    public struct Node: Sendable, Equatable {
        public var name: String
        public var kind: NodeKind

        public init(name: String, kind: NodeKind) {
            self.name = name
            self.kind = kind
        }
    }

    /// What an edge asks of a turn's state.
    public enum Condition: String, Sendable, CaseIterable {
        case always
        /// The guard refused the input.
        case refused
        /// The guard found that memories may help.
        case memoryWanted
        /// There is nothing to commit: the model gave no reply.
        case unanswered
        /// The commit filled the buffer and wrote a plan.
        case planned
    }

    public struct Edge: Sendable, Equatable {
        public var from: String
        /// The next node; nil ends the turn.
        public var to: String?
        public var when: Condition

        public init(from: String, to: String?, when: Condition = .always) {
            self.from = from
            self.to = to
            self.when = when
        }
    }

    public let start: String
    public let nodes: [Node]
    public let edges: [Edge]

    /// Checks the graph: names are unique and known, every node is reached from `start`, none is visited
    /// twice, and no edge stands behind one that is always taken.
    public init(start: String, nodes: [Node], edges: [Edge]) throws(WorkflowError) {
        self.start = start
        self.nodes = nodes
        self.edges = edges
        if let error = WorkflowError.first(in: self) { throw error }
    }

    private init(valid nodes: [Node], edges: [Edge]) {
        start = nodes[0].name
        self.nodes = nodes
        self.edges = edges
    }

    /// `inputGuard -> recall -> converse -> commit -> summarize`, where the guard may pass recall by or end
    /// the turn, and only a commit that left a plan is followed by a summary.
    public static let standard = Workflow(
        valid: NodeKind.allCases.map { Node(name: $0.rawValue, kind: $0) },
        edges: [
            Edge(from: "inputGuard", to: nil, when: .refused),
            Edge(from: "inputGuard", to: "recall", when: .memoryWanted),
            Edge(from: "inputGuard", to: "converse"),
            Edge(from: "recall", to: "converse"),
            Edge(from: "converse", to: nil, when: .unanswered),
            Edge(from: "converse", to: "commit"),
            Edge(from: "commit", to: "summarize", when: .planned),
        ])

    /// The node that a turn in this state goes to after `name`; nil ends it.
    public func next(after name: String, state: TurnState) -> String? {
        edges.first { $0.from == name && state.satisfies($0.when) }?.to
    }

    /// What the node of this name does; nil where there is none.
    public func kind(of name: String) -> NodeKind? {
        nodes.first { $0.name == name }?.kind
    }
}

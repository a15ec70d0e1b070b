import PoolAPI

/// The graph of a turn with everything compiled that its nodes need: which node runs first, and which one after it.
///
/// After a node its edges are tried in the order in which they were given; the first whose condition holds is taken.
/// That a graph makes sense is checked where the manifest is read.
public struct Workflow: Sendable {
    public typealias NodeKind = AgentPoolSpec.Workflow.NodeKind

    /// What a node does.
    enum Work: Sendable {
        case inputGuard
        case recall
        /// - Parameter agent: who answers; nil: whoever has the session.
        case converse(agent: String?)
        /// Calls that are made side by side, and beside them a recall.
        case calls([NodeCall], recalls: Bool)
        case condition(NodeCondition)
        case commit
        case summarize
    }

    struct Node: Sendable {
        let name: String
        let kind: NodeKind
        let work: Work
    }

    /// Nodes that one turn may pass; a circle whose way out is never taken ends there.
    static let maximumVisits = 64

    /// The graph of a manifest that has none of its own.
    public static let standard: Workflow = {
        do { return try Workflow(.standard) } catch { preconditionFailure("the standard workflow: \(error)") }
    }()

    private let start: String
    private let nodes: [String: Node]
    private let edges: [String: [AgentPoolSpec.Workflow.Edge]]
    private let commit: String?

    /// - Throws: where a pattern or a template can't be read.
    public init(_ graph: AgentPoolSpec.Workflow) throws {
        start = graph.start
        edges = Dictionary(grouping: graph.edges, by: \.from)
        commit = graph.nodes.first { $0.kind == .commit }?.name
        var nodes: [String: Node] = [:]
        for node in graph.nodes {
            nodes[node.name] = Node(
                name: node.name, kind: node.kind, work: try Self.work(of: node, in: graph))
        }
        self.nodes = nodes
    }

    /// The node that a turn in this state goes to after `name`, or begins with; nil ends it.
    ///
    /// A turn that failed has come to its end. One that was cut off, or waits for a person, is stored and no more.
    func next(after name: String?, _ state: TurnState) -> Node? {
        if state.outcome == nil {
            if state.failure != nil { return nil }
            if state.isToBeStored, let commit { return nodes[commit] }
        }
        guard let name else { return nodes[start] }
        let edge = (edges[name] ?? []).first { $0.when.map(state.satisfies) ?? true }
        return edge.flatMap { nodes[$0.to] }
    }

    private static func work(
        of node: AgentPoolSpec.Workflow.Node, in graph: AgentPoolSpec.Workflow
    ) throws -> Work {
        switch node.kind {
        case .inputGuard: return .inputGuard
        case .recall: return .recall
        case .converse: return .converse(agent: node.converse?.agent)
        case .callTool, .httpCall:
            return .calls(try [NodeCall(node)].compactMap { $0 }, recalls: false)
        case .condition: return .condition(try NodeCondition(node))
        case .parallel:
            let members = (node.parallel?.nodes ?? []).compactMap { name in
                graph.nodes.first { $0.name == name }
            }
            return .calls(
                NodeCall.together(try members.compactMap { try NodeCall($0) }),
                recalls: members.contains { $0.kind == .recall })
        case .commit: return .commit
        case .summarize: return .summarize
        }
    }
}

/// A turn on its way through a workflow.
struct WorkflowWalk {
    /// One time that a node runs.
    struct Visit {
        let node: Workflow.Node
        /// What the messages that it adds are marked with, so that whoever goes on with the turn of a worker that is gone
        /// knows what it has done.
        let mark: String
    }

    private let workflow: Workflow
    private var counts: [String: Int] = [:]
    private var last: String?
    private(set) var visits = 0

    init(_ workflow: Workflow) {
        self.workflow = workflow
    }

    /// The next node; nil where the turn has ended.
    mutating func next(_ state: TurnState) -> Visit? {
        guard let node = workflow.next(after: last, state) else { return nil }
        last = node.name
        visits += 1
        counts[node.name, default: 0] += 1
        return Visit(node: node, mark: "\(node.name)/\(counts[node.name, default: 1])")
    }
}

/// A node that ran, for the metrics.
public struct WorkflowStep: Sendable {
    /// The node's name.
    public var name: String
    public var kind: Workflow.NodeKind
    public var duration: Duration
}

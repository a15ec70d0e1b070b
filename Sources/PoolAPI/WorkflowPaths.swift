/// What can be told of a graph by walking it: nodes that no path reaches, circles without a way out, paths that give no answer. Pure.
struct WorkflowPaths {
    struct Fault: Equatable {
        /// Below `spec`.
        let path: String
        let message: String
        let mend: String
    }

    private let graph: AgentPoolSpec.Workflow
    private let following: [String: [String]]
    private let isGuarded: Bool

    /// - Parameters:
    ///   - graph: one whose edges lead from its nodes to its nodes, and that has a commit.
    ///   - isGuarded: there is something for a guard to refuse.
    init(_ graph: AgentPoolSpec.Workflow, isGuarded: Bool) {
        self.graph = graph
        self.isGuarded = isGuarded
        following = Dictionary(grouping: graph.edges, by: \.from).mapValues { edges in
            edges.map(\.to).filter { $0 != AgentPoolSpec.Workflow.end }
        }
    }

    /// The first fault of each kind. What can't be reached because of a circle is not told beside it.
    var faults: [Fault] { [circle ?? unreached, unanswered, lateGuard ?? unguarded].compactMap { $0 } }

    private var unreached: Fault? {
        let reached = Set(paths(from: graph.start, through: { _ in true }).keys)
        let within = graph.nodes.filter { reached.contains($0.name) }.flatMap { $0.parallel?.nodes ?? [] }
        guard
            let index = graph.nodes.firstIndex(where: {
                !reached.contains($0.name) && !within.contains($0.name)
            })
        else { return nil }
        let name = graph.nodes[index].name
        return Fault(
            path: "workflow.nodes[\(index)]", message: "no path from \(graph.start) leads to \(name)",
            mend: "add an edge to it, or remove the node")
    }

    /// A circle that no edge leaves: all that it reaches leads back into it.
    private var circle: Fault? {
        for (index, node) in graph.nodes.enumerated() where !graph.members.contains(node.name) {
            let paths = paths(from: node.name, through: { _ in true })
            guard !paths.keys.contains(where: { kind(of: $0) == .commit }), kind(of: node.name) != .summarize,
                let around = paths.values.lazy.compactMap({ circle(endOf: $0) }).min(by: {
                    $0.count < $1.count
                })
            else { continue }
            return Fault(
                path: "workflow.nodes[\(index)]",
                message: "the path \(around.joined(separator: " -> ")) has no way out",
                mend: "add an edge with a condition that leads to the commit")
        }
        return nil
    }

    /// The part of a path that its last node's next one closes; nil where none does.
    private func circle(endOf path: [String]) -> [String]? {
        for next in following[path.last ?? ""] ?? [] {
            if let start = path.firstIndex(of: next) { return path[start...] + [next] }
        }
        return nil
    }

    /// A path that comes to the commit past all nodes of the kind converse.
    private var unanswered: Fault? {
        let silent = paths(from: graph.start, through: { kind(of: $0) != .converse })
        guard let path = silent.values.first(where: { kind(of: $0.last ?? "") == .commit }),
            let index = graph.nodes.firstIndex(where: { $0.kind == .commit })
        else { return nil }
        return Fault(
            path: "workflow.nodes[\(index)]",
            message: "the path \(path.joined(separator: " -> ")) stores a turn without an answer",
            mend: "lead it through a node of the kind converse")
    }

    /// A guard behind what has acted on the words that it is to judge.
    private var lateGuard: Fault? {
        for node in graph.nodes where Self.acting.contains(node.kind) && !graph.members.contains(node.name) {
            let following = paths(from: node.name, through: { _ in true })
            for (index, other) in graph.nodes.enumerated()
            where other.kind == .inputGuard && following[other.name] != nil {
                return Fault(
                    path: "workflow.nodes[\(index)]",
                    message: "\(node.name) acts on what \(other.name) is still to judge",
                    mend: "lead the way to \(other.name) first")
            }
        }
        return nil
    }

    /// A path that passes the guard by.
    private var unguarded: Fault? {
        guard isGuarded else { return nil }
        let paths = paths(from: graph.start, through: { kind(of: $0) != .inputGuard })
        for (index, node) in graph.nodes.enumerated() where Self.acting.contains(node.kind) {
            guard let path = paths[node.name] else { continue }
            return Fault(
                path: "workflow.nodes[\(index)]",
                message:
                    "the path \(path.joined(separator: " -> ")) acts on what spec.guard was not asked about",
                mend: "lead it through a node of the kind inputGuard first")
        }
        return nil
    }

    /// What does something with the words of a turn.
    private static let acting: [AgentPoolSpec.Workflow.NodeKind] = [
        .converse, .callTool, .httpCall, .parallel,
    ]

    private func kind(of name: String) -> AgentPoolSpec.Workflow.NodeKind? {
        graph.nodes.first { $0.name == name }?.kind
    }

    /// The shortest path to each node that can be reached; nodes that may not be gone through are reached by none.
    private func paths(from start: String, through isOpen: (String) -> Bool) -> [String: [String]] {
        guard isOpen(start) else { return [:] }
        var paths = [start: [start]]
        var waiting = [start][...]
        while let name = waiting.popFirst() {
            for next in following[name] ?? [] where paths[next] == nil && isOpen(next) {
                paths[next] = (paths[name] ?? []) + [next]
                waiting.append(next)
            }
        }
        return paths
    }
}

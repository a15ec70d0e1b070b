/// What is wrong with a graph, by the names that stand in it.
public enum WorkflowError: Error, Sendable, Equatable, CustomStringConvertible {
    case unknownNode(String)
    case duplicateNode(String)
    case unreachableNode(String)
    /// The path leads back to a node that it came from.
    case cycle([String])
    /// An edge that can't be taken, since one before it always is.
    case deadEdge(from: String, to: String?)

    public var description: String {
        switch self {
        case .unknownNode(let name): "there is no node \(name); name one of the nodes, or add it"
        case .duplicateNode(let name): "two nodes are called \(name); rename one"
        case .unreachableNode(let name): "no edge leads to node \(name); add one, or drop the node"
        case .cycle(let path): "the path \(path.joined(separator: " -> ")) has no end; drop one of its edges"
        case .deadEdge(let from, let to):
            "the edge \(from) -> \(to ?? "end") is never taken, one before it always is; put it first"
        }
    }

    /// The first fault of a graph, nil of a sound one.
    static func first(in workflow: Workflow) -> WorkflowError? {
        var names: Set<String> = []
        for node in workflow.nodes where !names.insert(node.name).inserted {
            return .duplicateNode(node.name)
        }
        for name in [workflow.start] + workflow.edges.flatMap({ [$0.from, $0.to ?? $0.from] })
        where !names.contains(name) {
            return .unknownNode(name)
        }
        var closed: Set<String> = []
        for edge in workflow.edges {
            if closed.contains(edge.from) { return .deadEdge(from: edge.from, to: edge.to) }
            if edge.when == .always { closed.insert(edge.from) }
        }
        var reached: Set<String> = []
        if let cycle = cycle(in: workflow, from: workflow.start, path: [], reached: &reached) {
            return .cycle(cycle)
        }
        return workflow.nodes.first { !reached.contains($0.name) }.map { .unreachableNode($0.name) }
    }

    /// Walks depth first and answers the first path that meets itself.
    private static func cycle(
        in workflow: Workflow, from name: String, path: [String], reached: inout Set<String>
    ) -> [String]? {
        if let start = path.firstIndex(of: name) { return path[start...] + [name] }
        guard reached.insert(name).inserted else { return nil }
        for target in workflow.edges.lazy.filter({ $0.from == name }).compactMap(\.to) {
            if let cycle = cycle(in: workflow, from: target, path: path + [name], reached: &reached) {
                return cycle
            }
        }
        return nil
    }
}

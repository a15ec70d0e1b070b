/// The rules of a workflow: each node has what its kind needs, and each path through the graph answers the client and stores the turn.
extension SpecRules {
    typealias Graph = AgentPoolSpec.Workflow

    mutating func checkWorkflow() {
        let before = violations.count
        guard let graph = spec.workflow else { return }
        for (index, node) in graph.nodes.enumerated() {
            check(node, at: "workflow.nodes[\(index)]", in: graph)
        }
        requireName(graph.start, of: "node", among: graph.nodes.map(\.name), at: "workflow.start")
        checkEnds(of: graph)
        checkSingles(of: graph)
        for (index, node) in graph.nodes.enumerated() {
            checkEdges(after: node, at: "workflow.nodes[\(index)]", in: graph)
        }
        // Where a name is wrong or an edge is missing, its paths would only say the same again.
        if violations.count == before {
            for fault in WorkflowPaths(graph, isGuarded: guardRules.contains { $0.isGiven }).faults {
                report(fault.path, fault.message, fault.mend)
            }
        }
    }

    private mutating func check(_ node: Graph.Node, at path: String, in graph: Graph) {
        if node.name == Graph.end {
            report("\(path).name", "\"end\" is where edges end a turn", "choose another name")
        }
        for (kind, isGiven) in node.members {
            if isGiven, kind != node.kind {
                report(
                    "\(path).\(kind.rawValue)", "has no meaning for the kind \(node.kind.rawValue)",
                    "remove it, or change the kind")
            } else if !isGiven, kind == node.kind, kind != .converse {
                report("\(path).\(kind.rawValue)", "is required for the kind \(kind.rawValue)", "add it")
            }
        }
        let nodes = graph.nodes.map(\.name)
        if let agent = node.converse?.agent {
            requireName(agent, of: "agent", among: spec.agents.map(\.name), at: "\(path).converse.agent")
        }
        if let call = node.callTool {
            let server = spec.mcpServers.first { $0.name == call.server }
            requireName(
                call.server, of: "MCP server", among: spec.mcpServers.map(\.name),
                at: "\(path).callTool.server")
            if let allowed = server?.allow, !allowed.contains(call.tool) {
                report(
                    "\(path).callTool.tool", "\"\(call.tool)\" is not in allow of the server \(call.server)",
                    "add it there, or call another")
            }
            requireTemplates(.object(call.arguments), nodes, at: "\(path).callTool.arguments")
        }
        if let call = node.httpCall {
            if call.body != nil, call.method == .get {
                report("\(path).httpCall.body", "a GET has no body", "use query, or another method")
            }
            if call.url.contains("{{") {
                report(
                    "\(path).httpCall.url", "is no template: where a request goes is not for a turn to say",
                    "put the places into query or body")
            }
            requireTemplates(
                .object(call.query.mapValues(JSONValue.string)), nodes, at: "\(path).httpCall.query")
            requireTemplates(.object(call.body ?? [:]), nodes, at: "\(path).httpCall.body")
        }
        if let condition = node.condition {
            requireTemplates(.string(condition.text), nodes, at: "\(path).condition.text")
            requirePattern(condition.matches, at: "\(path).condition.matches")
        }
        for (place, name) in (node.parallel?.nodes ?? []).enumerated() {
            requireName(name, of: "node", among: nodes, at: "\(path).parallel.nodes[\(place)]")
            if let kind = graph.nodes.first(where: { $0.name == name })?.kind, !kind.mayRunBeside {
                report(
                    "\(path).parallel.nodes[\(place)]",
                    "a node of the kind \(kind.rawValue) can't run beside others",
                    "name nodes of the kinds recall, callTool and httpCall")
            }
        }
    }

    private mutating func requireTemplates(_ value: JSONValue, _ nodes: [String], at path: String) {
        do {
            for name in try WorkflowTemplates(value).steps {
                requireName(name, of: "node", among: nodes, at: path)
            }
        } catch {
            report(path, error.message, error.mend)
        }
    }

    /// Edges lead from nodes to nodes, and never to one that runs within another.
    private mutating func checkEnds(of graph: Graph) {
        let nodes = graph.nodes.map(\.name)
        for (index, edge) in graph.edges.enumerated() {
            let path = "workflow.edges[\(index)]"
            requireName(edge.from, of: "node", among: nodes, at: "\(path).from")
            if edge.to != Graph.end { requireName(edge.to, of: "node", among: nodes, at: "\(path).to") }
            for (field, name) in [("from", edge.from), ("to", edge.to)] where graph.members.contains(name) {
                report(
                    "\(path).\(field)", "\(name) runs within a parallel node and has no edges of its own",
                    "lead the edge to the parallel node, or take \(name) out of it")
            }
        }
    }

    /// There is one commit, a node runs within one other at most, and the guard's rules have a node that applies them.
    private mutating func checkSingles(of graph: Graph) {
        let commits = graph.nodes.indices.filter { graph.nodes[$0].kind == .commit }
        if commits.isEmpty {
            report("workflow.nodes", "no node stores the turn", "add one of the kind commit")
        }
        for index in commits.dropFirst() {
            report(
                "workflow.nodes[\(index)].kind", "a turn is stored once", "keep one node of the kind commit")
        }
        let members = graph.nodes.flatMap { $0.parallel?.nodes ?? [] }
        for name in Set(members).sorted() where members.count(where: { $0 == name }) > 1 {
            report("workflow.nodes", "\(name) is named by two parallel nodes", "name it in one of them")
        }
        if graph.members.contains(graph.start) {
            report(
                "workflow.start", "\(graph.start) runs within a parallel node", "start at the parallel node")
        }
        let isGuarded = graph.nodes.contains { $0.kind == .inputGuard }
        for (field, isGiven) in guardRules where isGiven && !isGuarded {
            report(
                "workflow.nodes", "no node applies guard.\(field)",
                "add one of the kind inputGuard, or remove guard.\(field)")
        }
        for (index, edge) in graph.edges.enumerated() where edge.when == .memoryWanted && !isGuarded {
            report(
                "workflow.edges[\(index)].when", "no node decides whether memory is wanted",
                "add one of the kind inputGuard, or remove the condition")
        }
    }

    /// What of the guard can refuse a turn, beyond the length that it has by default.
    private var guardRules: [(field: String, isGiven: Bool)] {
        [
            ("forbiddenPatterns", !spec.guard.forbiddenPatterns.isEmpty),
            ("moderation", spec.guard.moderation != nil),
            ("maxInputCharacters", spec.guard.maxInputCharacters != AgentPoolSpec.Guard.defaultLength),
        ]
    }

    /// A node's edges leave no case open, and none of them stands behind one that is always taken.
    private mutating func checkEdges(after node: Graph.Node, at path: String, in graph: Graph) {
        guard !graph.members.contains(node.name) else { return }
        let edges = graph.edges.enumerated().filter { $0.element.from == node.name }
        var taken: Set<Graph.When?> = []
        for (index, edge) in edges {
            if taken.contains(nil) || taken.contains(edge.when) {
                report(
                    "workflow.edges[\(index)]", "is never taken: an edge before it always is",
                    "put it first, or remove it")
            }
            taken.insert(edge.when)
            if let when = edge.when, let kinds = when.kinds, !kinds.contains(node.kind) {
                report(
                    "workflow.edges[\(index)].when",
                    "\(when.rawValue) is never true after a node of the kind \(node.kind.rawValue)",
                    "use it after \(kinds.map(\.rawValue).joined(separator: ", ")), or remove it")
            }
            let target = graph.nodes.first { $0.name == edge.to }?.kind
            if node.kind.isAfterReply {
                if edge.to != Graph.end, node.kind != .commit || target != .summarize {
                    report(
                        "workflow.edges[\(index)].to", "the turn is over when it is stored",
                        "lead the edge from a commit to a node of the kind summarize, or to end")
                }
            } else if edge.to == Graph.end {
                report(
                    "workflow.edges[\(index)].to", "ends the turn before it is stored",
                    "lead it to the node of the kind commit")
            } else if target == .summarize {
                report(
                    "workflow.edges[\(index)].to", "there is nothing to summarize before the turn is stored",
                    "lead an edge there from the node of the kind commit")
            }
        }
        if node.kind == .condition, !taken.contains(.matched) {
            report(path, "no edge is taken where its pattern is found", "add one with when: matched")
        }
        if !node.kind.isAfterReply, !taken.contains(nil) {
            let problem =
                edges.isEmpty
                ? "no edge leads on from \(node.name)" : "no edge leads on where none of its conditions holds"
            report(path, problem, "add {from: \(node.name), to: ...} without when, behind its other edges")
        }
    }
}

extension AgentPoolSpec.Workflow {
    /// The nodes that run within others.
    var members: Set<String> { Set(nodes.flatMap { $0.parallel?.nodes ?? [] }) }
}

extension AgentPoolSpec.Workflow.NodeKind {
    fileprivate var mayRunBeside: Bool { self == .recall || self == .callTool || self == .httpCall }
    fileprivate var isAfterReply: Bool { self == .commit || self == .summarize }
}

extension AgentPoolSpec.Workflow.When {
    /// After which kinds of nodes it can be true; nil: after all.
    fileprivate var kinds: [AgentPoolSpec.Workflow.NodeKind]? {
        switch self {
        case .memoryWanted: nil
        case .matched: [.condition]
        case .failed: [.callTool, .httpCall, .parallel]
        case .planned: [.commit]
        }
    }
}

extension AgentPoolSpec.Workflow.Node {
    /// The members that belong to a kind, and whether they are there.
    fileprivate var members: [(kind: AgentPoolSpec.Workflow.NodeKind, isGiven: Bool)] {
        [
            (.converse, converse != nil), (.callTool, callTool != nil), (.httpCall, httpCall != nil),
            (.condition, condition != nil), (.parallel, parallel != nil),
        ]
    }
}

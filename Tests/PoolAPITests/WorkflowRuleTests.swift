// What is said of a workflow that can't work, and which workflows can.
import Testing

@testable import PoolAPI

@Suite("The rules of workflows") struct WorkflowRuleTests {
    /// A graph of nodes `name:kind` or `name:kind{members}` and edges `from>to` or `from>to?when`, the default guard and servers beside it.
    private static func problems(
        _ nodes: String, _ edges: String, start: String? = nil, more: String = ""
    ) throws -> [String] {
        let nodeTexts = nodes.split(separator: " | ").map { text in
            let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
            let (kind, members) = (parts[1].prefix { $0 != "{" }, parts[1].drop { $0 != "{" })
            return "{name: \(parts[0]), kind: \(kind)\(members.isEmpty ? "" : ", \(kind): \(members)")}"
        }
        let edgeTexts = edges.split(separator: " ").map { text in
            let parts = text.split { $0 == ">" || $0 == "?" }
            return "{from: \(parts[0]), to: \(parts[1])\(parts.count > 2 ? ", when: \(parts[2])" : "")}"
        }
        let yaml = """
            agents: [{name: a, instructions: Help.}]
            mcpServers: [{name: orders, url: "http://o/mcp", allow: [find]}]
            workflow: {\(start.map { "start: \($0), " } ?? "")nodes: [\(nodeTexts.joined(separator: ", "))], edges: [\(edgeTexts.joined(separator: ", "))]}
            \(more)
            """
        do {
            _ = try AgentPoolSpec.parse(yaml: yaml)
            return []
        } catch {
            return error.problems.map { "\($0.path.dropFirst("spec.workflow.".count)): \($0.message)" }
        }
    }

    @Test(
        "Nodes may be left out, put in another order, repeated in circles with a way out, and run side by side",
        arguments: [
            ("t:converse | c:commit", "t>c"),
            ("g:inputGuard | t:converse | c:commit | s:summarize", "g>t t>c c>s?planned"),
            ("r:recall | g:inputGuard | t:converse | c:commit", "r>g g>t t>c c>end"),
            (
                "t:converse | q:condition{text: '{{reply}}', matches: again} | c:commit",
                "t>q q>t?matched q>c"
            ),
            (
                "p:parallel{nodes: [r, f]} | r:recall | f:callTool{server: orders, tool: find} | t:converse | c:commit",
                "p>t?failed p>t t>c"
            ),
            (
                "h:httpCall{url: 'http://x', body: {a: ['{{input}}', 1]}} | t:converse{agent: a} | c:commit",
                "h>t t>c"
            ),
        ])
    func valid(nodes: String, edges: String) throws {
        #expect(try Self.problems(nodes, edges) == [])
    }

    @Test(
        "A graph that can't work is refused with the field at fault",
        arguments: [
            ("t:converse | c:commit | x:converse", "t>c x>c", "nodes[2]: no path from t leads to x"),
            ("t:converse | c:commit", "", "nodes[0]: no edge leads on from t"),
            (
                "t:converse | c:commit", "t>c?memoryWanted",
                "edges[0].when: no node decides whether memory is wanted"
            ),
            (
                "g:inputGuard | t:converse | c:commit", "g>t?memoryWanted t>c",
                "nodes[0]: no edge leads on where none of its conditions holds"
            ),
            (
                "t:converse | u:converse | c:commit", "t>u u>t",
                "nodes[0]: the path t -> u -> t has no way out"
            ),
            (
                "t:converse | u:converse | v:converse | c:commit | q:condition{text: x, matches: y}",
                "t>q q>u?matched q>c u>v v>u", "nodes[1]: the path u -> v -> u has no way out"
            ),
            (
                "q:condition{text: x, matches: y} | t:converse | c:commit", "q>t?matched q>c t>c",
                "nodes[2]: the path q -> c stores a turn without an answer"
            ),
            (
                "t:converse | g:inputGuard | u:converse | c:commit", "t>g g>u u>c",
                "nodes[1]: t acts on what g is still to judge"
            ),
            ("t:converse | c:commit", "t>end", "edges[0].to: ends the turn before it is stored"),
            ("t:converse | c:commit", "t>c c>t", "edges[1].to: the turn is over when it is stored"),
            (
                "t:converse | s:summarize | c:commit", "t>s s>end",
                "edges[0].to: there is nothing to summarize before the turn is stored"
            ),
            (
                "t:converse | r:recall | c:commit", "t>c t>r r>c",
                "edges[1]: is never taken: an edge before it always is"
            ),
            (
                "t:converse | r:recall | c:commit", "t>r?matched t>c r>c",
                "edges[0].when: matched is never true after a node of the kind converse"
            ),
            ("t:converse | c:commit | d:commit", "t>c", "nodes[2].kind: a turn is stored once"),
            (
                "t:converse{agent: b} | c:commit", "t>c",
                "nodes[0].converse.agent: no agent is called \"b\""
            ),
            (
                "f:callTool{server: order, tool: find} | t:converse | c:commit", "f>t t>c",
                "nodes[0].callTool.server: no MCP server is called \"order\""
            ),
            (
                "f:callTool{server: orders, tool: lose} | t:converse | c:commit", "f>t t>c",
                "nodes[0].callTool.tool: \"lose\" is not in allow of the server orders"
            ),
            (
                "f:callTool{server: orders, tool: find, arguments: {a: '{{steps.g.x}}'}} | t:converse | c:commit",
                "f>t t>c", "nodes[0].callTool.arguments: no node is called \"g\""
            ),
            (
                "f:callTool{server: orders, tool: find, arguments: {a: '{{user}}'}} | t:converse | c:commit",
                "f>t t>c", "nodes[0].callTool.arguments: has the place {{user}}, which there is not"
            ),
            (
                "h:httpCall{url: 'http://x', query: {a: '{{input'}} | t:converse | c:commit", "h>t t>c",
                "nodes[0].httpCall.query: has {{ without }}"
            ),
            (
                "q:condition{text: x, matches: '('} | t:converse | c:commit", "q>t?matched q>t t>c",
                "nodes[0].condition.matches: is no pattern: a group is not closed"
            ),
            (
                "p:parallel{nodes: [t]} | t:converse | c:commit", "p>c",
                "nodes[0].parallel.nodes[0]: a node of the kind converse can't run beside others"
            ),
            (
                "p:parallel{nodes: [r]} | r:recall | t:converse | c:commit", "p>t r>t t>c",
                "edges[1].from: r runs within a parallel node and has no edges of its own"
            ),
        ])
    func invalid(nodes: String, edges: String, problem: String) throws {
        let problems = try Self.problems(nodes, edges)
        #expect(problems.contains(problem), "\(problems)")
    }

    @Test(
        "Where the guard has something to refuse no path passes it by, and a request's place is no template")
    func bypassed() throws {
        let edges = "q>t?matched q>g g>t t>c"
        let nodes = "q:condition{text: '{{input}}', matches: x} | g:inputGuard | t:converse | c:commit"
        #expect(try Self.problems(nodes, edges) == [])
        #expect(
            try Self.problems(nodes, edges, more: "guard: {maxInputCharacters: 10}")
                == ["nodes[2]: the path q -> t acts on what spec.guard was not asked about"])
        let call = "h:httpCall{url: 'http://x/{{input}}', method: GET, body: {a: 1}} | t:converse | c:commit"
        #expect(
            try Self.problems(call, "h>t t>c") == [
                "nodes[0].httpCall.body: a GET has no body",
                "nodes[0].httpCall.url: is no template: where a request goes is not for a turn to say",
            ])
    }

    @Test("The guard's patterns need a node that applies them")
    func guardless() throws {
        let problems = try Self.problems(
            "t:converse | c:commit", "t>c", more: "guard: {forbiddenPatterns: [x]}")
        #expect(problems == ["nodes: no node applies guard.forbiddenPatterns"])
    }

    @Test("A turn begins at the first node where nothing else is said")
    func start() throws {
        let spec = try AgentPoolSpec.parse(
            yaml: """
                agents: [{name: a, instructions: Help.}]
                workflow: {nodes: [{name: t, kind: converse}, {name: c, kind: commit}], edges: [{from: t, to: c}]}
                """)
        #expect(spec.workflow?.start == "t")
        #expect(try Self.problems("c:commit | t:converse", "t>c", start: "t") == [])
    }

    @Test("The graph of a manifest without one keeps to the same rules")
    func standard() throws {
        var spec = try AgentPoolSpec.parse(yaml: "agents: [{name: a, instructions: Help.}]")
        spec.workflow = .standard
        #expect(SpecRules.violations(of: spec, authModeIsGiven: true, in: .machine) == [])
    }

    @Test("The example of a workflow keeps to the rules, and is the one in the documentation")
    func example() throws {
        let text = try Golden.text("examples/workflow.yaml")
        let graph = try #require(try ManifestFile.parse(yaml: text).pools.first?.spec.workflow)
        let shown = try Golden.text("docs/workflow.md").split(separator: "```yaml\n")[1].prefix { $0 != "`" }
        let spec = try AgentPoolSpec.parse(
            yaml: """
                agents: [{name: desk, instructions: Help.}, {name: care, instructions: Help.}]
                mcpServers: [{name: orders, url: "http://orders.shop/mcp"}]
                \(shown)
                """)
        #expect(spec.workflow == graph)
    }

    @Test("A template's places are filled; alone in its text a place keeps its type")
    func templates() throws {
        let value: JSONValue = ["total": 12, "items": [["id": "x"]], "note": "a {{input}}"]
        let fill: (WorkflowTemplate.Source) -> JSONValue = { source in
            switch source {
            case .input: "hello"
            case .session: "s"
            case .step("look-up", let path): value.at(path)
            default: .null
            }
        }
        func filled(_ json: JSONValue) throws -> JSONValue { try WorkflowTemplates(json).filled(fill) }
        #expect(try filled("{{ input }}, {{reply}}!") == "hello, !")
        #expect(try filled(["n": "{{steps.look-up.total}}"]) == ["n": 12])
        #expect(try filled("n={{steps.look-up.total}}") == "n=12")
        #expect(try filled("{{steps.look-up.items.0.id}}") == "x")
        #expect(try filled("{{steps.look-up.items.1.id}}") == .null)
        // What stands in a place is not looked into for places.
        #expect(try filled("{{steps.look-up.note}}") == "a {{input}}")
        #expect(try filled(["{{input}}": [1, true, .null]]) == ["{{input}}": [1, true, .null]])
        #expect(throws: WorkflowTemplate.Fault.self) { try WorkflowTemplate("{{steps}}") }
        #expect(throws: WorkflowTemplate.Fault.self) { try WorkflowTemplate("{{steps.a..b}}") }
    }
}

import Memory
import PoolAPI
import Synchronization
import Testing

@testable import Agent

@Suite("Turns through a workflow of the manifest's own") struct WorkflowTurnTests {
    private let server: StandInModelServer

    init() throws {
        server = try StandInModelServer.shared.get()
    }

    /// - Parameter workflow: its nodes and edges, in YAML's flow style.
    private func run(
        _ workflow: String, says text: String, _ recorder: TurnRecorder, _ desk: ToolDesk = ToolDesk(),
        model: String = StandInModelServer.unique("agent"), guarded: Set<String> = [], steps: [Message] = [],
        decisions: [String: ApprovalDecision]? = nil, agent: String = "assistant",
        other: ToolSource? = nil,
        stepped: @Sendable (WorkflowStep) -> Void = { _ in }
    ) async throws {
        let spec = try AgentPoolSpec.parse(
            yaml: """
                models:
                - {name: chat, provider: openai, baseURL: "\(server.baseURL)", model: "\(model)"}
                - {name: echo, provider: openai, baseURL: "\(server.baseURL)", model: "\(StandInModelServer.unique("echo"))"}
                - {name: tools, provider: openai, baseURL: "\(server.baseURL)", model: "\(StandInModelServer.unique("tools"))"}
                agents:
                - {name: assistant, instructions: You help., model: chat, tools: [desk]}
                - {name: wild, instructions: You call., model: tools}
                - {name: critic, instructions: You judge., model: echo}
                mcpServers: [{name: desk, url: "http://desk/mcp"}, {name: other, url: "http://other/mcp"}]
                workflow: \(workflow)
                """)
        let requests = HTTPCalls(
            of: spec.workflow?.nodes ?? [], headers: { _ in nil }, http: server.http, logger: server.logger)
        let sources = [requests.source, desk.source(guarded: guarded)] + (other.map { [$0] } ?? [])
        let engine = try server.engine(spec, tools: sources)
        let input = TurnInput(
            turnID: .mint(), sessionID: "s", agent: agent,
            messages: [Message(role: .user, content: text)], steps: steps, decisions: decisions)
        await engine.run(
            input, memory: recorder.memory, clientLeft: nil, stepped: stepped, emit: recorder.tell)
    }

    private static let lookUp = """
        {nodes: [{name: find, kind: callTool, callTool: {server: desk, tool: look_up, arguments: {said: "{{input}}"}}},
        {name: talk, kind: converse}, {name: keep, kind: commit}], edges: [{from: find, to: talk}, {from: talk, to: keep}]}
        """

    @Test(
        "A node's call is durable before it is made, told and stored as a model's is, and the model hears its answer"
    )
    func callTool() async throws {
        let (recorder, desk) = (TurnRecorder(), ToolDesk())
        let steps = Mutex<[String]>([])
        try await run(
            Self.lookUp, says: "[0]", recorder, desk,
            stepped: { step in steps.withLock { $0.append("\(step.name) \(step.kind.rawValue)") } })
        #expect(desk.ledger == [.init(tool: "look_up", arguments: #"{"said":"[0]"}"#)])
        #expect(
            recorder.order == [
                "keep", "step find", "keep", "step talk", "commit", "step keep", "committed",
            ])
        let turn = try #require(recorder.committed.first)
        #expect(turn.messages.map(\.role) == [.user, .assistant, .tool, .assistant])
        #expect(turn.messages[1].node == "find/1")
        #expect(turn.reply == #"The tools said: look_up {"said":"[0]"}"#)
        #expect(recorder.outcomes == [#"look_up done: look_up {"said":"[0]"}"#])
        #expect(steps.withLock { $0 } == ["find callTool", "talk converse", "keep commit"])
    }

    @Test(
        "What a node has done before a crash is not done again, and a call of unknown outcome is not repeated"
    )
    func goesOn() async throws {
        let book = Self.lookUp.replacing("look_up", with: "book")
        let first = TurnRecorder()
        try await run(book, says: "[0]", first)
        for (kept, outcome) in zip(first.kept, [ToolOutcome.unknown, .done]) {
            let (second, desk) = (TurnRecorder(), ToolDesk())
            try await run(book, says: "[0]", second, desk, steps: Array(kept.steps))
            #expect(desk.ledger.isEmpty)
            let turn = try #require(second.committed.first)
            #expect(turn.messages.map(\.role) == [.user, .assistant, .tool, .assistant])
            #expect(turn.messages[2].toolOutcome == outcome)
        }
    }

    @Test("A node's call waits for a person where its tool needs that, and the workflow goes on from there")
    func approval() async throws {
        let (first, desk) = (TurnRecorder(), ToolDesk())
        try await run(Self.lookUp, says: "[0]", first, desk, guarded: ["look_up"])
        let paused = try #require(first.committed.first)
        #expect(paused.ending == .waiting)
        let call = try #require(paused.awaitingApproval.first)
        #expect(desk.ledger.isEmpty && first.text.isEmpty)
        let second = TurnRecorder()
        try await run(
            Self.lookUp, says: "[0]", second, desk, guarded: ["look_up"], steps: Array(paused.steps),
            decisions: [call.id: .approved])
        #expect(desk.ledger.count == 1)
        #expect(second.committed.first?.ending == .complete)
    }

    @Test(
        "Calls of a parallel node are made at the same time as its recall, and the node fails with any of them"
    )
    func parallel() async throws {
        let recorder = TurnRecorder(recall: Recall(skipped: [.index]))
        let arrived = Mutex(0)
        let desk = ToolDesk { entry in
            arrived.withLock { $0 += 1 }
            // Each waits for the other: made one after the other they would never end.
            while arrived.withLock({ $0 }) < 2, !Task.isCancelled { await Task.yield() }
            return ToolResult(entry.tool == "book" ? .failed : .done, entry.tool)
        }
        try await run(
            """
            {nodes: [{name: all, kind: parallel, parallel: {nodes: [find, reserve, remember]}}, {name: remember, kind: recall},
            {name: find, kind: callTool, callTool: {server: desk, tool: look_up}}, {name: reserve, kind: callTool, callTool: {server: desk, tool: book}},
            {name: sorry, kind: converse, converse: {agent: critic}}, {name: talk, kind: converse}, {name: keep, kind: commit}],
            edges: [{from: all, to: sorry, when: failed}, {from: all, to: talk}, {from: sorry, to: keep}, {from: talk, to: keep}]}
            """, says: "hello", recorder, desk)
        #expect(recorder.outcomes.sorted() == ["book failed: book", "look_up done: look_up"])
        #expect(recorder.order.contains("recall") && recorder.order.contains("memories"))
        let turn = try #require(recorder.committed.first)
        #expect(turn.agent == "critic")
        #expect(recorder.speakers == ["critic"])
    }

    @Test("A condition leads on by what was said, and a circle ends where it does")
    func circle() async throws {
        let recorder = TurnRecorder()
        // The echo repeats what stands last in its prompt.
        try await run(
            """
            {nodes: [{name: talk, kind: converse, converse: {agent: critic}},
            {name: long, kind: condition, condition: {text: "{{reply}}", matches: "your turn"}}, {name: keep, kind: commit}],
            edges: [{from: talk, to: long}, {from: long, to: keep, when: matched}, {from: long, to: talk}]}
            """, says: "hello", recorder)
        let turn = try #require(recorder.committed.first)
        #expect(turn.messages.map(\.content).prefix(2) == ["hello", "hello \n\n"])
        #expect(turn.messages.last?.content.hasPrefix("Go on: the reply above") == true)
        #expect(turn.messages.map(\.node) == [nil, "talk/1", nil])
        #expect(recorder.text == turn.reply)
        #expect(turn.usage.completionTokens == 14)
        #expect(recorder.order.filter { $0.hasPrefix("step") }.count == 5)
    }

    @Test("Whoever goes on with a turn asks no agent again that had its say, and keeps who speaks")
    func goesOnBetweenReplies() async throws {
        let workflow = """
            {nodes: [{name: judge, kind: converse, converse: {agent: critic}}, {name: file, kind: callTool, callTool: {server: desk, tool: book, arguments: {text: "{{steps.judge}}"}}},
            {name: talk, kind: converse, converse: {agent: assistant}}, {name: keep, kind: commit}],
            edges: [{from: judge, to: file}, {from: file, to: talk}, {from: talk, to: keep}]}
            """
        let first = TurnRecorder()
        try await run(workflow, says: "[0]", first)
        let kept = try #require(first.kept.last)
        #expect(kept.messages.map(\.node) == [nil, "judge/1", "file/1", nil])
        #expect(kept.agent == "critic")
        let (second, desk) = (TurnRecorder(), ToolDesk())
        try await run(workflow, says: "[0]", second, desk, steps: Array(kept.steps), agent: kept.agent)
        #expect(desk.ledger.isEmpty)
        let turn = try #require(second.committed.first)
        #expect(
            turn.messages.map(\.content) == [
                "[0]", "[0] \n\n", "", #"book {"text":"[0] "}"#, #"The tools said: book {"text":"[0] "}"#,
            ])
        #expect(turn.agent == "assistant")
        #expect(second.text == turn.reply)
    }

    @Test(
        "With an approval the walk takes the way that it took before, and a call is made by the node that it belongs to"
    )
    func sameWay() async throws {
        let workflow = """
            {nodes: [{name: judge, kind: converse, converse: {agent: critic}}, {name: plain, kind: condition, condition: {text: "{{reply}}", matches: "^.0"}},
            {name: seen, kind: httpCall, httpCall: {url: "\(server.baseURL)/seen", method: GET, query: {model: x}}},
            {name: talk, kind: converse, converse: {agent: assistant}}, {name: sorry, kind: converse}, {name: keep, kind: commit}],
            edges: [{from: judge, to: plain}, {from: plain, to: seen, when: matched}, {from: plain, to: sorry}, {from: seen, to: talk}, {from: sorry, to: keep}, {from: talk, to: keep}]}
            """
        let first = TurnRecorder()
        try await run(workflow, says: #"[0,[["book","1"]]]"#, first, guarded: ["book"])
        let paused = try #require(first.committed.first)
        #expect(paused.awaitingApproval.map(\.name) == ["book"])
        let (second, desk) = (TurnRecorder(), ToolDesk())
        try await run(
            workflow, says: #"[0,[["book","1"]]]"#, second, desk, guarded: ["book"],
            steps: Array(paused.steps), decisions: [paused.awaitingApproval[0].id: .approved],
            agent: paused.agent)
        #expect(desk.ledger == [.init(tool: "book", arguments: "1")])
        #expect(
            second.order.filter { $0.hasPrefix("step") }
                == ["judge", "plain", "seen", "talk", "keep"].map { "step \($0)" })
        let turn = try #require(second.committed.first)
        #expect(turn.ending == .complete)
        #expect(turn.messages.compactMap(\.toolOutcome) == [.done, .done])
    }

    @Test("A call whose server tells no tools goes to no other server that has one of its name")
    func namesakes() async throws {
        let (recorder, desk) = (TurnRecorder(), ToolDesk())
        let silent = ToolSource(name: "other", list: { _ in throw Refused() }) { _, _, _ in
            ToolResult(.done, "called")
        }
        try await run(
            """
            {nodes: [{name: all, kind: parallel, parallel: {nodes: [one, two]}}, {name: one, kind: callTool, callTool: {server: desk, tool: look_up, arguments: {id: 1}}},
            {name: two, kind: callTool, callTool: {server: other, tool: look_up, arguments: {id: 2}}},
            {name: talk, kind: converse, converse: {agent: critic}}, {name: keep, kind: commit}], edges: [{from: all, to: talk}, {from: talk, to: keep}]}
            """, says: "hello", recorder, desk, other: silent)
        #expect(desk.ledger == [.init(tool: "look_up", arguments: #"{"id":1}"#)])
        #expect(recorder.committed.first?.messages.compactMap(\.toolOutcome) == [.done, .notSent])
    }

    @Test("Calls that one agent's model asks for and nobody may make are not made by the agent after it")
    func leftCalls() async throws {
        let recorder = TurnRecorder()
        try await run(
            """
            {nodes: [{name: first, kind: converse, converse: {agent: wild}}, {name: talk, kind: converse, converse: {agent: critic}}, {name: keep, kind: commit}],
            edges: [{from: first, to: talk}, {from: talk, to: keep}]}
            """, says: "hello", recorder)
        let turn = try #require(recorder.committed.first)
        #expect(turn.messages.map(\.role) == [.user, .assistant, .assistant])
        #expect(turn.messages[1].toolCalls == nil && turn.messages[1].node == "first/1")
    }

    @Test(
        "A circle that its condition never leaves ends the turn with an error, and stores nothing as its reply"
    )
    func endless() async throws {
        let recorder = TurnRecorder()
        try await run(
            """
            {nodes: [{name: wait, kind: condition, condition: {text: "{{input}}", matches: never}}, {name: talk, kind: converse}, {name: keep, kind: commit}],
            edges: [{from: wait, to: talk, when: matched}, {from: wait, to: wait}, {from: talk, to: keep}]}
            """, says: "hello", recorder)
        #expect(recorder.committed.isEmpty)
        #expect(recorder.failure?.code == "workflow_endless")
    }

    @Test("A request takes its parameters from the turn, and its answer's members can be used by other nodes")
    func httpCall() async throws {
        let (recorder, desk) = (TurnRecorder(), ToolDesk())
        let name = StandInModelServer.unique("no one#&")
        try await run(
            """
            {nodes: [{name: seen, kind: httpCall, httpCall: {url: "\(server.baseURL)/seen", method: GET, query: {model: "{{input}}"}}},
            {name: file, kind: callTool, callTool: {server: desk, tool: confirm, arguments: {open: "{{steps.seen.open}}"}}},
            {name: talk, kind: converse, converse: {agent: critic}}, {name: keep, kind: commit}],
            edges: [{from: seen, to: file}, {from: file, to: talk}, {from: talk, to: keep}]}
            """, says: name, recorder, desk)
        #expect(desk.ledger == [.init(tool: "confirm", arguments: #"{"open":0}"#)])
        let turn = try #require(recorder.committed.first)
        #expect(turn.messages[1].toolCalls?.first?.arguments == #"{"query":{"model":"\#(name)"}}"#)
        #expect(turn.messages[2].content.contains(#""requests": []"#))
    }

    @Test(
        "A request that can't be sent, or that its server refuses, is the workflow's to hear and no failure of the turn"
    )
    func httpFailures() async throws {
        let targets = [
            ("http://127.0.0.1:1/", "POST", ToolOutcome.notSent),
            (server.baseURL + "/chat/completions?", "POST", .failed),
        ]
        for (url, method, outcome) in targets {
            let recorder = TurnRecorder()
            let body = outcome == .failed ? #"{model: nothing, messages: [{content: x}]}"# : "{a: 1}"
            try await run(
                """
                {nodes: [{name: tell, kind: httpCall, httpCall: {url: "\(url.filter { $0 != "?" })", method: \(method), body: \(body)}},
                {name: sorry, kind: converse, converse: {agent: critic}}, {name: talk, kind: converse}, {name: keep, kind: commit}],
                edges: [{from: tell, to: sorry, when: failed}, {from: tell, to: talk}, {from: sorry, to: keep}, {from: talk, to: keep}]}
                """, says: "hello", recorder)
            let turn = try #require(recorder.committed.first)
            #expect(turn.messages[2].toolOutcome == outcome, "\(turn.messages[2])")
            #expect(turn.agent == "critic")
        }
    }
}

extension TurnRecorder {
    /// What came of the calls, without their ids.
    fileprivate var outcomes: [Substring] { results.map { $0.drop { $0 != " " }.dropFirst() } }
}

import Memory
import PoolAPI
import Synchronization
import Testing

@testable import Agent

@Suite("Turns that call tools") struct ToolTurnTests {
    private let server: StandInModelServer

    init() throws {
        server = try StandInModelServer.shared.get()
    }

    private func run(
        _ rounds: String, _ recorder: TurnRecorder, _ sources: [ToolSource], steps: [Message] = [],
        model: String = StandInModelServer.unique("agent"), clientLeft: (@Sendable () async -> Void)? = nil,
        emit: (@Sendable ([TurnEvent]) async throws -> Void)? = nil
    ) async throws {
        let spec = try server.spec(
            model: model, tools: "[desk]", more: #"mcpServers: [{name: desk, url: "http://desk/mcp"}]"#)
        let engine = try server.engine(spec, tools: sources)
        let input = TurnInput(
            turnID: .mint(), sessionID: "s", agent: "assistant",
            messages: [Message(role: .user, content: rounds)], steps: steps)
        await engine.run(
            input, memory: recorder.memory, clientLeft: clientLeft, emit: emit ?? recorder.tell)
    }

    @Test("A call is durable before it is made and its answer after it, and the model goes on with both")
    func oneCall() async throws {
        let recorder = TurnRecorder()
        let desk = ToolDesk { entry in
            recorder.add(.recalled("called \(entry.tool)"))
            return ToolResult(.done, "parcel 17")
        }
        let model = StandInModelServer.unique("agent")
        try await run(#"[[["book","{\"to\":\"Ann\"}"]]]"#, recorder, [desk.source], model: model)
        #expect(desk.ledger == [.init(tool: "book", arguments: #"{"to":"Ann"}"#)])
        let order = recorder.entries.compactMap { entry -> String? in
            switch entry {
            case .kept(let turn): "keep \(turn.messages.map(\.role.rawValue).joined(separator: " "))"
            case .recalled(let what): what.hasPrefix("called") ? what : nil
            case .committed: "commit"
            default: nil
            }
        }
        #expect(
            order == [
                "keep user assistant", "called book", "keep user assistant tool", "commit",
            ])
        #expect(recorder.kept.allSatisfy { $0.ending == .running && $0.inputCount == 1 })
        let turn = try #require(recorder.committed.first)
        #expect(turn.ending == .complete)
        #expect(turn.messages.map(\.role) == [.user, .assistant, .tool, .assistant])
        #expect(turn.messages[2].toolOutcome == .done)
        #expect(turn.reply == "Round 1. The tools said: parcel 17")
        #expect(recorder.text == turn.reply)
        #expect(recorder.results == ["call_1 book done: parcel 17"])
        #expect(turn.usage == TokenUsage(promptTokens: 111, completionTokens: 8))
        let asked = try await server.seen(model).requests.map(\.body)
        #expect(asked.count == 2)
        guard case .array(let offered) = asked[0]["tools"] else {
            Issue.record("no tools were offered")
            return
        }
        #expect(
            offered.map { $0["function"]?["name"] } == ["look_up", "confirm", "book", "transfer_to_account"])
        #expect(offered[0]["function"]?["parameters"]?["type"] == "object")
    }

    @Test("A client is told how far a running call is, before its result and never after it")
    func progress() async throws {
        let recorder = TurnRecorder()
        let tool = ToolDesk.tools[0]
        let source = ToolSource(
            name: "desk", list: { _ in [tool] },
            reporting: { _, _, _, progress in
                progress(ToolProgress(progress: 1, total: 2, message: "half"))
                while !recorder.events.contains(where: { $0.isProgress }), !Task.isCancelled {
                    await Task.yield()
                }
                // Nobody waits for this one.
                progress(ToolProgress(progress: 2, total: 2))
                return ToolResult(.done, "found")
            })
        try await run(#"[[["look_up","{}"]]]"#, recorder, [source])
        let order = recorder.events.compactMap { event -> String? in
            switch event {
            case .toolCall(let call): "call \(call.id)"
            case .toolProgress(let id, let name, let progress): "\(id) \(name) \(progress.message ?? "")"
            case .toolResult(let id, _, _): "result \(id)"
            default: nil
            }
        }
        #expect(order == ["call call_1", "call_1 look_up half", "result call_1"])
        let kept = recorder.kept + recorder.committed
        #expect(!kept.contains { $0.messages.contains { $0.content.contains("half") } })
    }

    @Test("Five calls of one reply are made side by side, and their answers stand in the order of the calls")
    func sideBySide() async throws {
        let recorder = TurnRecorder()
        let arrived = Mutex(0)
        let desk = ToolDesk { entry in
            arrived.withLock { $0 += 1 }
            // Each waits for all: made one after the other they would never end.
            while arrived.withLock({ $0 }) < 5, !Task.isCancelled { await Task.yield() }
            return ToolResult(.done, entry.arguments)
        }
        let calls = (1...5).map { #"["look_up","\#($0)"]"# }.joined(separator: ",")
        try await run("[[\(calls)]]", recorder, [desk.source])
        #expect(desk.mostAtOnce == 5)
        let answers = try #require(recorder.committed.first).messages.filter { $0.role == .tool }
        #expect(answers.map(\.content) == ["1", "2", "3", "4", "5"])
        #expect(answers.map(\.toolCallID) == (1...5).map { "call_\($0)" })
        #expect(recorder.results.count == 5)
    }

    @Test("A model that gives every round's calls the same ids has them told apart")
    func sameIDs() async throws {
        let recorder = TurnRecorder()
        let desk = ToolDesk()
        try await run(#"[[["look_up","1"]],[["look_up","2"]]]"#, recorder, [desk.source])
        let turn = try #require(recorder.committed.first)
        #expect(turn.messages.compactMap(\.toolCallID) == ["call_1", "call_2"])
        #expect(turn.reply == "Round 1. Round 2. The tools said: look_up 1; look_up 2")
        #expect(recorder.results.map { $0.prefix(6) } == ["call_1", "call_2"])
    }

    @Test("What another attempt has finished is not asked or called again, and is told anew")
    func goesOn() async throws {
        let first = TurnRecorder()
        let desk = ToolDesk()
        try await run(#"[[["book","1"]],[["book","2"]]]"#, first, [desk.source])
        // The second call was made durable, its answer was not.
        let steps = Array(try #require(first.kept.dropLast().last).steps)
        #expect(steps.map(\.role) == [.assistant, .tool, .assistant])
        let (second, other) = (TurnRecorder(), ToolDesk())
        try await run(
            #"[[["book","1"]],[["book","2"]]]"#, second, [other.source], steps: steps)
        #expect(other.ledger.isEmpty)
        let turn = try #require(second.committed.first)
        #expect(turn.messages.map(\.role) == [.user, .assistant, .tool, .assistant, .tool, .assistant])
        #expect(turn.messages[4].toolOutcome == .unknown)
        #expect(turn.messages[4].content == ToolSteps.unknownText)
        #expect(second.text.hasPrefix("Round 1. Round 2. The tools said: book 1; No answer came"))
        #expect(second.text == turn.reply)
        #expect(second.results.map { $0.prefix(17) } == ["call_1 book done:", "call_2 book unkno"])
    }

    @Test("A call of unknown outcome is made again where its tool says that this changes nothing more")
    func repeats() async throws {
        for tool in ["look_up", "confirm"] {
            let (first, desk) = (TurnRecorder(), ToolDesk())
            try await run(#"[[["\#(tool)","1"]]]"#, first, [desk.source])
            let steps = Array(try #require(first.kept.first).steps)
            let (second, other) = (TurnRecorder(), ToolDesk())
            try await run(#"[[["\#(tool)","1"]]]"#, second, [other.source], steps: steps)
            #expect(other.ledger == [.init(tool: tool, arguments: "1")])
            #expect(second.committed.first?.messages[2].toolOutcome == .done)
        }
    }

    @Test("No tool is called whose intent can't be made durable, and nothing is committed then")
    func unstorable() async throws {
        let recorder = TurnRecorder(keepError: .commitUnconfirmed)
        let desk = ToolDesk()
        try await run(#"[[["book","1"]]]"#, recorder, [desk.source])
        #expect(desk.ledger.isEmpty)
        #expect(recorder.committed.isEmpty)
        #expect(recorder.failure?.code == "commit_failed")
    }

    @Test("A tool's error is the model's to hear, and no failure of the turn")
    func toolFails() async throws {
        let recorder = TurnRecorder()
        let desk = ToolDesk { _ in ToolResult(.failed, "no such parcel") }
        try await run(#"[[["book","1"],["fly","{}"]]]"#, recorder, [desk.source])
        #expect(recorder.failure == nil)
        let turn = try #require(recorder.committed.first)
        #expect(turn.messages.compactMap(\.toolOutcome) == [.failed, .notSent])
        #expect(turn.messages[3].content.contains("There is no tool fly. The tools are: look_up"))
    }

    @Test("A model that asks for tools without end is made to answer")
    func endless() async throws {
        let recorder = TurnRecorder()
        let desk = ToolDesk()
        let rounds = Array(repeating: #"[["look_up","1"]]"#, count: 40).joined(separator: ",")
        try await run("[\(rounds)]", recorder, [desk.source])
        #expect(desk.ledger.count == TurnEngine.maximumRounds)
        #expect(recorder.text.hasSuffix("I may not call."))
        #expect(recorder.committed.first?.ending == .complete)
    }

    @Test("A client that leaves while a tool is at work ends the call; what is known of it is kept")
    func leaves() async throws {
        let recorder = TurnRecorder()
        let isCalled = Mutex(false)
        let desk = ToolDesk { entry in
            if entry.arguments == "1" { return ToolResult(.done, "first") }
            isCalled.withLock { $0 = true }
            // Ends by cancellation alone.
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(60)) }
            return ToolResult(.unknown, "cancelled")
        }
        try await run(#"[[["book","1"],["book","2"]]]"#, recorder, [desk.source]) {
            while !isCalled.withLock({ $0 }), !Task.isCancelled { await Task.yield() }
        }
        let turn = try #require(recorder.committed.first)
        #expect(turn.ending == .cancelled)
        #expect(turn.messages.compactMap(\.toolOutcome) == [.done, .unknown])
        #expect(desk.ledger.count == 2)
    }

    @Test(
        "What an attempt before may have called is of unknown outcome also where this one is ended before its turn"
    )
    func leavesBeforeRepeating() async throws {
        let asked = (1...12).map { ToolCall(id: "\($0)", name: "confirm", arguments: "\($0)") }
        let isCalled = Mutex(false)
        let desk = ToolDesk { _ in
            isCalled.withLock { $0 = true }
            // Ends by cancellation alone.
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(60)) }
            return ToolResult(.unknown, "cancelled")
        }
        let recorder = TurnRecorder()
        let steps = [Message(role: .assistant, content: "", toolCalls: asked)]
        try await run("[]", recorder, [desk.source], steps: steps) {
            while !isCalled.withLock({ $0 }), !Task.isCancelled { await Task.yield() }
        }
        #expect(desk.ledger.count <= ToolCalls.maximumAtOnce)
        let turn = try #require(recorder.committed.first)
        #expect(turn.messages.compactMap(\.toolOutcome) == Array(repeating: .unknown, count: asked.count))
    }

    @Test("A model that breaks off after its tools were called fails the turn, which keeps what they said")
    func breaksOff() async throws {
        let recorder = TurnRecorder()
        let desk = ToolDesk()
        try await run(#"[[["book","1"]],"cut"]"#, recorder, [desk.source])
        #expect(recorder.failure?.code == "model_interrupted")
        let turn = try #require(recorder.committed.first)
        #expect(turn.ending == .failed)
        #expect(turn.messages.map(\.role) == [.user, .assistant, .tool, .assistant])
        // An attempt that goes on with it asks the model anew for what it broke off.
        #expect(ToolSteps(recorded: turn.steps).messages.map(\.role) == [.assistant, .tool])
    }

    @Test("A server that doesn't tell its tools is done without")
    func withoutServer() async throws {
        let recorder = TurnRecorder()
        let silent = ToolSource(name: "desk", list: { _ in throw Refused() }) { _, _, _ in
            ToolResult(.failed, "never")
        }
        try await run("[]", recorder, [silent])
        #expect(recorder.text == "The tools said: ")
        #expect(recorder.committed.first?.inputCount == nil)
    }
}

extension TurnEvent {
    fileprivate var isProgress: Bool {
        if case .toolProgress = self { true } else { false }
    }
}

import Memory
import PoolAPI
import Testing

@testable import Agent

@Suite struct TurnEngineTests {
    private let server: StandInModelServer

    init() throws {
        server = try StandInModelServer.shared.get()
    }

    private static let plan = ArchivePlan(
        scope: Scope(principal: Principal(pool: "p", credential: "c", endUser: nil), sessionID: "s"),
        agent: "assistant",
        first: 1, last: 10, generation: 0, createdAt: 0)

    private static func input(_ text: String, agent: String = "assistant") -> TurnInput {
        TurnInput(
            turnID: .mint(), sessionID: "s", agent: agent, messages: [Message(role: .user, content: text)],
            requestDigest: "d1")
    }

    private func run(
        _ text: String, model: String, _ recorder: TurnRecorder, more: String = "",
        clientLeft: (@Sendable () async -> Void)? = nil
    ) async throws {
        let engine = try server.engine(try server.spec(model: model, more: more))
        await engine.run(
            Self.input(text), memory: recorder.memory, clientLeft: clientLeft, emit: recorder.tell)
    }

    @Test(
        "The nodes run in their order; the client is told of the commit after it, and the summary comes last")
    func order() async throws {
        let recorder = TurnRecorder(plan: Self.plan)
        try await run("what is my code?", model: "echo", recorder)
        #expect(
            recorder.order == [
                "recall", "step inputGuard", "step recall", "memories", "step converse", "commit",
                "step commit",
                "committed", "archive",
            ])
        #expect(recorder.failure == nil)
    }

    @Test("A turn is committed whole, with what it took, and reported as it is stored")
    func report() async throws {
        let recorder = TurnRecorder()
        try await run("what is new?", model: "together", recorder)
        let report = try #require(recorder.report)
        let turn = try #require(recorder.committed.first)
        #expect(report.turn == turn)
        #expect(turn.messages.map(\.role) == [.user, .assistant])
        #expect(turn.reply == recorder.text)
        #expect(turn.reply.hasPrefix("t0 t1 t2 "))
        #expect(turn.ending == .complete)
        #expect(turn.usage == TokenUsage(promptTokens: 11, completionTokens: 7))
        #expect(turn.requestDigest == "d1")
        #expect(turn.startedAt == 1_700_000_000_000)
        #expect(report.finishReason == .stop)
        #expect(report.timings.recall != nil)
        #expect(report.timings.firstToken != nil)
        #expect(report.timings.commit != nil)
    }

    @Test("A greeting asks the memory nothing")
    func greeting() async throws {
        let recorder = TurnRecorder(recall: Recall(memories: []))
        try await run("hello!", model: "echo", recorder)
        #expect(recorder.order == ["step inputGuard", "step converse", "commit", "step commit", "committed"])
        #expect(recorder.report?.recall == nil)
    }

    @Test("Recalled memories reach the model as quoted data")
    func recalled() async throws {
        let memory = RecalledMemory(
            id: "m", kind: .fragment, session: "s0", agent: "a", firstTurn: 1, lastTurn: 1, time: 0,
            text: "user: the code is 4711", excerpt: "", entities: [], score: 1)
        let recorder = TurnRecorder(recall: Recall(memories: [memory]))
        let name = StandInModelServer.unique("echo")
        try await run("what is my code?", model: name, recorder)
        let body = try #require(try await server.seen(name).requests.first).body
        guard case .array(let messages)? = body["messages"],
            case .string(let content)? = messages.last?["content"]
        else {
            Issue.record("no messages")
            return
        }
        #expect(content.contains(#""text":"user: the code is 4711""#))
        // What was asked is stored as the user said it, without the quotation.
        #expect(recorder.committed.first?.messages.first?.content == "what is my code?")
    }

    @Test("A client's instructions follow the agent's own, for one turn, and the guard reads them too")
    func instructions() async throws {
        let name = StandInModelServer.unique("echo")
        let engine = try server.engine(
            try server.spec(model: name, more: "guard: {forbiddenPatterns: [secret]}"))
        var input = Self.input("hello")
        input.instructions = "Answer in rhymes."
        let recorder = TurnRecorder()
        await engine.run(input, memory: recorder.memory, clientLeft: nil, emit: recorder.tell)
        let body = try #require(try await server.seen(name).requests.first).body
        guard case .array(let messages)? = body["messages"],
            case .string(let system)? = messages.first?["content"]
        else {
            Issue.record("no messages")
            return
        }
        #expect(system.hasPrefix("You help.\n\nAnswer in rhymes."))
        #expect(recorder.committed.first?.messages.map(\.role) == [.user, .assistant])
        input.instructions = "Tell the secret."
        let refused = TurnRecorder()
        await engine.run(input, memory: refused.memory, clientLeft: nil, emit: refused.tell)
        #expect(refused.failure?.kind == .refused)
    }

    @Test("A refused turn asks neither memory nor model, and commits nothing")
    func refused() async throws {
        let recorder = TurnRecorder()
        let name = StandInModelServer.unique("echo")
        try await run("a secret word", model: name, recorder, more: "guard: {forbiddenPatterns: [secret]}")
        #expect(recorder.order == ["step inputGuard", "failed"])
        let failure = try #require(recorder.failure)
        #expect(failure.kind == .refused)
        #expect(failure.status == 400)
        #expect(failure.code == "input_refused")
        #expect(failure.message.contains("guard.forbiddenPatterns[0]"))
        #expect(try await server.seen(name).requests.isEmpty)
    }

    @Test(
        "A model that fails before its first word commits nothing",
        arguments: [
            ("limited", 429, "model_rate_limited", true), ("too-long", 400, "context_length_exceeded", false),
            ("unauthorized", 502, "model_rejected", false), ("error-first", 502, "model_rejected", true),
        ])
    func failedFirst(mode: String, status: Int, code: String, isRetryable: Bool) async throws {
        let recorder = TurnRecorder()
        try await run("hello", model: mode, recorder)
        #expect(recorder.committed.isEmpty)
        let failure = try #require(recorder.failure)
        #expect(failure.kind == .model)
        #expect(failure.status == status)
        #expect(failure.code == code)
        #expect(failure.isRetryable == isRetryable)
        #expect(mode != "limited" || failure.retryAfter == "7")
    }

    @Test(
        "A model that breaks off has its part committed as failed, then the failure told, together",
        arguments: ["error-mid", "truncated", "reset"])
    func failedMiddle(mode: String) async throws {
        let recorder = TurnRecorder()
        try await run("hello", model: mode, recorder)
        let turn = try #require(recorder.committed.first)
        #expect(turn.ending == .failed)
        #expect(turn.reply.hasPrefix("half a"))
        #expect(turn.usage.completionTokens > 0)
        guard case .told(let last)? = recorder.entries.last, case .failed? = last.last else {
            Issue.record("the last array does not end with the failure")
            return
        }
        #expect(recorder.order.suffix(2) == ["committed", "failed"])
        #expect(last.count == 3)
    }

    @Test("A client that leaves ends the model's stream, and what was generated is committed as cancelled")
    func clientLeaves() async throws {
        let name = StandInModelServer.unique("slow")
        let recorder = TurnRecorder()
        try await run("hello", model: name, recorder) {
            while !recorder.text.contains("w3 "), !Task.isCancelled {
                // Ends early when the turn calls the watch off, which the loop's condition sees.
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
        let turn = try #require(recorder.committed.first)
        #expect(turn.ending == .cancelled)
        #expect(turn.reply.hasPrefix("w0 w1 w2 w3 "))
        #expect(recorder.report?.turn.ending == .cancelled)
        #expect(recorder.failure == nil)
        #expect(try await server.eventually(name) { $0.open == 0 && $0.left == 1 })
    }

    @Test("A client that can't be told any more counts as gone")
    func emitThrows() async throws {
        let name = StandInModelServer.unique("slow")
        let recorder = TurnRecorder()
        let engine = try server.engine(try server.spec(model: name))
        await engine.run(Self.input("hello"), memory: recorder.memory, clientLeft: nil) { events in
            try await recorder.tell(events)
            if recorder.text.contains("w2 ") { throw StandInError(description: "broken pipe") }
        }
        #expect(recorder.committed.first?.ending == .cancelled)
        #expect(try await server.eventually(name) { $0.open == 0 })
    }

    @Test("A client that leaves before the first word has its message kept, without a reply")
    func leavesEarly() async throws {
        let recorder = TurnRecorder()
        try await run("my code is 4711", model: StandInModelServer.unique("silent"), recorder) {
            // Cancelled only where the turn ended first, and then nobody waits for this.
            try? await Task.sleep(for: .milliseconds(50))
        }
        let turn = try #require(recorder.committed.first)
        #expect(turn.ending == .cancelled)
        #expect(turn.messages == [Message(role: .user, content: "my code is 4711")])
    }

    @Test("A turn beyond its time fails: with a part committed, or without one where there was none")
    func timeout() async throws {
        let limit = "concurrency: {turnTimeout: 1s}"
        let partial = TurnRecorder()
        try await run("hello", model: StandInModelServer.unique("slow"), partial, more: limit)
        #expect(partial.committed.first?.ending == .failed)
        #expect(partial.failure?.kind == .timeout)
        #expect(partial.failure?.status == 504)
        let silent = TurnRecorder()
        let name = StandInModelServer.unique("silent")
        try await run("hello", model: name, silent, more: limit)
        #expect(silent.committed.isEmpty)
        #expect(silent.failure?.kind == .timeout)
        #expect(try await server.eventually(name) { $0.open == 0 })
    }

    @Test("A turn that can't be made durable ends in a failure, not in a report")
    func commitFails() async throws {
        for (error, code) in [
            (MemoryError.commitUnconfirmed, "commit_failed"), (.forgotten, "session_forgotten"),
            (.elsewhere(LiveSession()), "session_taken_over"),
        ] {
            let recorder = TurnRecorder(plan: Self.plan, commitError: error)
            try await run("hello", model: "echo", recorder)
            #expect(recorder.report == nil)
            #expect(recorder.failure?.kind == .store)
            #expect(recorder.failure?.code == code)
            #expect(!recorder.order.contains("archive"))
        }
    }

    @Test("Calls of functions that nobody offered are told whole, and are nobody's to make")
    func toolCalls() async throws {
        let recorder = TurnRecorder()
        try await run("where is my order?", model: "tools", recorder)
        let calls = [
            ToolCall(id: "call_a", name: "find_order", arguments: #"{"id": 4711}"#),
            ToolCall(id: "call_b", name: "refund", arguments: "{}"),
        ]
        let told = recorder.events.compactMap { event in
            if case .toolCall(let call) = event { call } else { nil }
        }
        #expect(told == calls)
        #expect(recorder.report?.finishReason == .stop)
        let turn = try #require(recorder.committed.first)
        #expect(turn.messages.allSatisfy { $0.toolCalls == nil } && turn.clientCalls.isEmpty)
    }

    @Test("A server that counts no tokens has them estimated")
    func estimatedUsage() async throws {
        let recorder = TurnRecorder()
        try await run("hello", model: "nousage", recorder)
        #expect(recorder.report.map { $0.usage.completionTokens > 0 && $0.usage.promptTokens > 0 } == true)
    }

    @Test("An agent that the pool doesn't have is a failure that names it")
    func unknownAgent() async throws {
        let recorder = TurnRecorder()
        let engine = try server.engine(try server.spec(model: "echo"))
        await engine.run(
            Self.input("hello", agent: "nobody"), memory: recorder.memory, clientLeft: nil,
            emit: recorder.tell)
        #expect(recorder.failure?.code == "unknown_agent")
        #expect(recorder.committed.isEmpty)
    }

    @Test("A stored turn that is asked for again is told as it was")
    func replay() throws {
        let turnID = try #require(TurnID("t1"))
        let call = ToolCall(id: "c", name: "f", arguments: "{}", byClient: true)
        let turn = Turn(
            id: turnID,
            messages: [
                Message(role: .user, content: "q"),
                Message(role: .assistant, content: "answer", toolCalls: [call]),
            ],
            agent: "a", startedAt: 0, finishedAt: 1)
        let recorder = TurnRecorder()
        recorder.add(.told(TurnEvent.replay(StoredTurn(sequence: 7, turn: turn))))
        #expect(recorder.text == "answer")
        let report = try #require(recorder.report)
        #expect(report.turn == turn)
        #expect(report.outcome.sequence == 7)
        #expect(report.outcome.duplicate)
        #expect(report.finishReason == .toolCalls)
    }

    @Test(
        "The engine lists the pool's agents, and sums up with the built-in model where the manifest names none"
    )
    func builtinPool() async throws {
        let spec = try AgentPoolSpec.parse(yaml: "agents: [{name: assistant, instructions: Help.}]")
        let engine = try server.engine(spec)
        #expect(engine.entryAgent == "assistant")
        #expect(engine.agents.map(\.name) == ["assistant"])
        #expect(engine.embedder.model == NgramEmbedder.model)
        #expect(try await engine.embedder.embed(["x"]).first?.count == engine.embedder.dimension)
        let recorder = TurnRecorder()
        await engine.run(
            Self.input("my code is 4711"), memory: recorder.memory, clientLeft: nil, emit: recorder.tell)
        let turn = try #require(recorder.committed.first)
        let summary = try await engine.summarizer(
            SummaryRequest(
                agent: "assistant", turns: [StoredTurn(sequence: 1, turn: turn)], previousSummary: ""))
        #expect(summary.summary == "my code is 4711")
    }
}

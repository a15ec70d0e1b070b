import Memory
import PoolAPI
import Testing

@testable import Agent

@Suite("Turns of several agents") struct SeveralAgentsTests {
    private let server: StandInModelServer

    init() throws {
        server = try StandInModelServer.shared.get()
    }

    /// Three agents on models of their own names: `desk` hands over to `billing` and back and asks `stock` and `legal`, `legal`
    /// asks `stock`, `stock` asks `legal`.
    private func run(
        _ rounds: String, _ recorder: TurnRecorder, agent: String = "desk", steps: [Message] = [],
        tools: ToolDesk? = nil, guarded: Set<String> = [], modes: [String: String] = [:]
    ) async throws -> [String: String] {
        let names = ["desk", "billing", "stock", "legal"]
        let models = Dictionary(
            uniqueKeysWithValues: names.map { ($0, StandInModelServer.unique(modes[$0] ?? "agent")) })
        let spec = try AgentPoolSpec.parse(
            yaml: """
                models:
                \(names.map { """
                - {name: \($0), provider: openai, baseURL: "\(server.baseURL)", model: "\(models[$0] ?? "")"}
                """ }.joined(separator: "\n"))
                mcpServers: [{name: desk, url: "http://desk/mcp"}]
                agents:
                - {name: desk, instructions: You greet., model: desk, handoffs: [billing], agentTools: [stock, legal]}
                - {name: billing, description: Invoices., instructions: You bill., model: billing, handoffs: [desk], tools: [desk]}
                - {name: stock, description: Knows the store., instructions: You count., model: stock, agentTools: [legal], tools: \(tools == nil ? "[]" : "[desk]")}
                - {name: legal, description: Knows the law., instructions: You judge., model: legal, agentTools: [stock]}
                """)
        let engine = try server.engine(
            spec, tools: tools.map { [$0.source(guarded: guarded)] } ?? [ToolDesk().source])
        let input = TurnInput(
            turnID: .mint(), sessionID: "s", agent: agent,
            messages: [Message(role: .user, content: rounds)], steps: steps)
        await engine.run(input, memory: recorder.memory, clientLeft: nil, emit: recorder.tell)
        return models
    }

    private func system(_ request: StandInModelServer.Seen.Request?) -> String {
        guard case .array(let messages)? = request?.body["messages"],
            case .string(let text)? = messages.first?["content"]
        else { return "" }
        return text
    }

    private func functions(_ request: StandInModelServer.Seen.Request?) -> [String] {
        guard case .array(let tools)? = request?.body["tools"] else { return [] }
        return tools.compactMap { tool in
            if case .string(let name)? = tool["function"]?["name"] { name } else { nil }
        }
    }

    @Test(
        "An agent to which the model hands over goes on with the same turn, and is who speaks in what is stored"
    )
    func handsOver() async throws {
        let recorder = TurnRecorder()
        let models = try await run(#"[[["transfer_to_billing","{\"reason\":\"money\"}"]]]"#, recorder)
        let turn = try #require(recorder.committed.first)
        #expect(turn.agent == "billing")
        #expect(turn.reply == "Round 1. The tools said: billing has the conversation now.")
        #expect(recorder.speakers == ["billing"])
        // Durable before anybody is told of it, with the new speaker's name.
        #expect(recorder.kept.map(\.agent) == ["desk", "billing"])
        let (first, second) = (
            try await server.seen(models["desk"] ?? "").requests,
            try await server.seen(models["billing"] ?? "").requests
        )
        #expect(first.count == 1 && second.count == 1)
        #expect(system(first.first).hasPrefix("You greet."))
        #expect(system(second.first).hasPrefix("You bill."))
        #expect(functions(first.first) == ["ask_stock", "ask_legal", "transfer_to_billing"])
        #expect(
            functions(second.first) == [
                "look_up", "confirm", "book", "transfer_to_account", "transfer_to_desk",
            ])
    }

    @Test("Of several hand-offs in one reply the first counts, and the calls beside them are made before it")
    func firstHandoff() async throws {
        let (recorder, tools) = (TurnRecorder(), ToolDesk())
        _ = try await run(
            #"[[["transfer_to_desk","{}"],["book","1"],["transfer_to_desk","{}"]]]"#, recorder,
            agent: "billing", tools: tools)
        #expect(tools.ledger.map(\.tool) == ["book"])
        let turn = try #require(recorder.committed.first)
        #expect(turn.agent == "desk")
        #expect(turn.messages.compactMap(\.toolOutcome) == [.done, .done, .notSent])
        #expect(recorder.speakers == ["desk"])
    }

    @Test("Agents that hand over to each other without end are made to answer")
    func handsAround() async throws {
        let recorder = TurnRecorder()
        let rounds = (0..<12).map { $0.isMultiple(of: 2) ? "billing" : "desk" }
        try await _ = run(
            "[\(rounds.map { #"[["transfer_to_\#($0)","{}"]]"# }.joined(separator: ","))]", recorder)
        #expect(recorder.speakers.count == Handoff.maximumInTurn)
        let turn = try #require(recorder.committed.first)
        #expect(turn.ending == .complete)
        #expect(
            turn.messages.compactMap(\.toolOutcome).suffix(4) == [.notSent, .notSent, .notSent, .notSent])
    }

    @Test(
        "A turn that another worker goes on with is its last speaker's, and a hand-off that was asked for is done"
    )
    func goesOnWithSpeaker() async throws {
        let first = TurnRecorder()
        let rounds = #"[[["transfer_to_billing","{}"]]]"#
        _ = try await run(rounds, first)
        let asked = try #require(first.kept.first), taken = try #require(first.kept.last)
        for turn in [asked, taken] {
            let second = TurnRecorder()
            let models = try await run(rounds, second, agent: turn.agent, steps: Array(turn.steps))
            #expect(second.committed.first?.agent == "billing")
            #expect(second.speakers == ["billing"])
            #expect(second.text == "Round 1. The tools said: billing has the conversation now.")
            #expect(try await server.seen(models["desk"] ?? "").requests.isEmpty)
        }
    }

    @Test("Agents asked side by side answer each for itself, and their answers come back to who asked")
    func asks() async throws {
        let recorder = TurnRecorder()
        let models = try await run(
            #"[[["ask_stock","{\"question\":\"[]\"}"],["ask_legal","{\"question\":\"[]\"}"]]]"#, recorder)
        let turn = try #require(recorder.committed.first)
        #expect(turn.agent == "desk")
        #expect(
            turn.messages.filter { $0.role == .tool }.map(\.content) == [
                "The tools said: ", "The tools said: ",
            ])
        #expect(turn.messages.compactMap(\.toolOutcome) == [.done, .done])
        // What asking them took is the turn's.
        #expect(turn.usage == TokenUsage(promptTokens: 100 + 3 * 11, completionTokens: 1 + 3 * 7))
        let stock = try await server.seen(models["stock"] ?? "").requests
        #expect(system(stock.first).hasPrefix("You count."))
        #expect(functions(stock.first) == ["ask_legal"])
    }

    @Test("An agent whose answer is cut off before its first word has given none")
    func cutOff() async throws {
        let recorder = TurnRecorder()
        _ = try await run(
            #"[[["ask_stock","{\"question\":\"x\"}"]]]"#, recorder, modes: ["stock": "half-call"])
        #expect(
            recorder.results == [
                "call_1 ask_stock failed: stock gave no answer: its reply was cut off."
            ])
    }

    @Test("Agents that ask each other in a circle come to an end")
    func circle() async throws {
        let recorder = TurnRecorder()
        func question(_ agent: String, _ inner: String) -> String {
            let text = inner.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            let arguments = #"{"question":"\#(text)"}"#
            let quoted = arguments.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            return #"[[["ask_\#(agent)","\#(quoted)"]]]"#
        }
        let models = try await run(
            question("stock", question("legal", question("stock", question("legal", "[]")))), recorder)
        // The third one below the client has nobody to ask.
        #expect(try await server.seen(models["legal"] ?? "").requests.count == 2)
        let stock = try await server.seen(models["stock"] ?? "").requests
        #expect(functions(stock.dropLast().first { functions($0).isEmpty }) == [])
        #expect(stock.contains { functions($0).isEmpty })
        #expect(recorder.committed.first?.ending == .complete)
    }

    @Test(
        "A question to an agent that has tools which act is not asked again after a crash, one to another agent is"
    )
    func unknownAnswer() async throws {
        let rounds = #"[[["ask_stock","{\"question\":\"[[[\\\"book\\\",\\\"1\\\"]]]\"}"]]]"#
        let (first, desk) = (TurnRecorder(), ToolDesk())
        _ = try await run(rounds, first, tools: desk)
        #expect(desk.ledger == [.init(tool: "book", arguments: "1")])
        #expect(first.committed.first?.messages[2].content == "The tools said: book 1")
        let asked = try #require(first.kept.first)
        let (second, again) = (TurnRecorder(), ToolDesk())
        _ = try await run(rounds, second, steps: Array(asked.steps), tools: again)
        #expect(again.ledger.isEmpty)
        #expect(second.committed.first?.messages[2].toolOutcome == .unknown)

        let third = TurnRecorder()
        let harmless = #"[[["ask_legal","{\"question\":\"[]\"}"]]]"#
        _ = try await run(harmless, third)
        let fourth = TurnRecorder()
        _ = try await run(harmless, fourth, steps: Array(try #require(third.kept.first).steps))
        #expect(fourth.committed.first?.messages[2].toolOutcome == .done)
    }

    @Test(
        "An agent that is asked can't pause for a person: what needs an approval is not called, and it is told so"
    )
    func askedAndGuarded() async throws {
        let (recorder, desk) = (TurnRecorder(), ToolDesk())
        _ = try await run(
            #"[[["ask_stock","{\"question\":\"[[[\\\"book\\\",\\\"1\\\"]]]\"}"]]]"#, recorder, tools: desk,
            guarded: ["book"])
        #expect(desk.ledger.isEmpty)
        let turn = try #require(recorder.committed.first)
        #expect(turn.ending == .complete)
        #expect(turn.messages[2].content.contains("a person has to approve it"))
    }

    @Test(
        "A question that is none is told to the model as such",
        arguments: ["{}", #"{"question":7}"#, "nothing"])
    func noQuestion(arguments: String) async throws {
        let recorder = TurnRecorder()
        let quoted = arguments.replacing("\"", with: "\\\"")
        _ = try await run(#"[[["ask_stock","\#(quoted)"]]]"#, recorder)
        let answer = try #require(recorder.committed.first).messages[2]
        #expect(answer.toolOutcome == .notSent)
        #expect(answer.content.contains("question"))
    }
}

extension TurnRecorder {
    /// Who took over, in order.
    var speakers: [String] {
        events.compactMap { event in
            if case .agentChanged(let agent) = event { agent } else { nil }
        }
    }
}

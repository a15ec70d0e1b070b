import Memory
import PoolAPI
import Testing

@testable import Agent

@Suite("Calls that a person has to approve") struct ApprovalTests {
    private let server: StandInModelServer

    init() throws {
        server = try StandInModelServer.shared.get()
    }

    private static let rounds = #"[[["look_up","1"],["book","2"]]]"#

    private func run(
        _ recorder: TurnRecorder, _ desk: ToolDesk, rounds: String = rounds, after turn: Turn? = nil,
        decisions: [String: ApprovalDecision]? = nil
    ) async throws {
        let spec = try server.spec(
            model: StandInModelServer.unique("agent"), tools: "[desk]",
            more: #"mcpServers: [{name: desk, url: "http://desk/mcp"}]"#)
        let engine = try server.engine(spec, tools: [desk.source(guarded: ["book", "transfer_to_account"])])
        let input = TurnInput(
            turnID: .mint(), sessionID: "s", agent: "assistant",
            messages: [Message(role: .user, content: rounds)], steps: Array(turn?.steps ?? []),
            decisions: decisions)
        await engine.run(input, memory: recorder.memory, clientLeft: nil, emit: recorder.tell)
    }

    private func paused(_ desk: ToolDesk) async throws -> Turn {
        let recorder = TurnRecorder()
        try await run(recorder, desk)
        return try #require(recorder.committed.first)
    }

    @Test("A turn pauses before such a call, when the other calls beside it are done, and holds no worker")
    func waits() async throws {
        let (recorder, desk) = (TurnRecorder(), ToolDesk())
        try await run(recorder, desk)
        #expect(desk.ledger.map(\.tool) == ["look_up"])
        let turn = try #require(recorder.committed.first)
        #expect(turn.ending == .waiting)
        #expect(turn.awaitingApproval.map(\.name) == ["book"])
        #expect(recorder.awaited == ["call_2 book 2"])
        #expect(recorder.failure == nil)
        #expect(recorder.report?.turn.ending == .waiting)
        // Whoever asks for the turn again is told the same.
        let replay = TurnEvent.replay(StoredTurn(sequence: 1, turn: turn))
        #expect(
            replay.contains {
                if case .approvalRequired(let call) = $0 { call.id == "call_2" } else { false }
            })
    }

    @Test("With the approval the turn goes on: the approval is durable, then the call is made, once")
    func approved() async throws {
        let turn = try await paused(ToolDesk())
        let recorder = TurnRecorder()
        let desk = ToolDesk { entry in
            recorder.add(.recalled("called \(entry.tool)"))
            return ToolResult(.done, "parcel 17")
        }
        try await run(recorder, desk, after: turn, decisions: ["call_2": .approved])
        #expect(desk.ledger == [.init(tool: "book", arguments: "2")])
        let first = recorder.entries.first { entry in
            switch entry {
            case .kept, .recalled("called book"): true
            default: false
            }
        }
        guard case .kept(let kept)? = first else {
            Issue.record("the call was made before its approval was durable")
            return
        }
        #expect(kept.ending == .running)
        #expect(kept.steps.first?.toolCalls?.map(\.approval) == [nil, .approved])
        let ended = try #require(recorder.committed.first)
        #expect(ended.ending == .complete)
        #expect(ended.reply == "Round 1. The tools said: look_up 1; parcel 17")
    }

    @Test("A call that is refused is not made, and the model is told why")
    func refused() async throws {
        let turn = try await paused(ToolDesk())
        let (recorder, desk) = (TurnRecorder(), ToolDesk())
        try await run(recorder, desk, after: turn, decisions: ["call_2": .refused(reason: "too dear")])
        #expect(desk.ledger.isEmpty)
        let ended = try #require(recorder.committed.first)
        #expect(ended.ending == .complete)
        #expect(ended.messages.compactMap(\.toolOutcome) == [.done, .refused])
        #expect(ended.reply.hasSuffix("the user refused it. They say: too dear"))
    }

    @Test("An approved call whose worker died is of unknown outcome, one that was not approved still waits")
    func afterACrash() async throws {
        let turn = try await paused(ToolDesk())
        let first = TurnRecorder()
        try await run(first, ToolDesk(), after: turn, decisions: ["call_2": .approved])
        let (second, desk) = (TurnRecorder(), ToolDesk())
        try await run(second, desk, after: first.kept.first)
        #expect(desk.ledger.isEmpty)
        #expect(second.committed.first?.messages.compactMap(\.toolOutcome) == [.done, .unknown])

        let asked = TurnRecorder()
        try await run(asked, ToolDesk())
        let (third, other) = (TurnRecorder(), ToolDesk())
        try await run(third, other, after: asked.kept.first)
        #expect(third.committed.first?.ending == .waiting)
        #expect(third.awaited == ["call_2 book 2"])
        // It changes nothing, and no answer of it was stored.
        #expect(other.ledger.map(\.tool) == ["look_up"])
    }

    @Test("Whoever says something else has refused: the turn ends without the call")
    func goesOnWithout() async throws {
        let turn = try await paused(ToolDesk()).refusingApproval(at: 7)
        #expect(turn.ending == .complete && turn.finishedAt == 7)
        #expect(turn.awaitingApproval.isEmpty)
        #expect(turn.messages.map(\.role) == [.user, .assistant, .tool, .tool])
        #expect(turn.messages.compactMap(\.toolOutcome) == [.done, .refused])
    }

    @Test("No call is made whose approval can't be made durable")
    func unstorable() async throws {
        let turn = try await paused(ToolDesk())
        let (recorder, desk) = (TurnRecorder(keepError: .commitUnconfirmed), ToolDesk())
        try await run(recorder, desk, after: turn, decisions: ["call_2": .approved])
        #expect(desk.ledger.isEmpty)
        #expect(recorder.failure?.code == "commit_failed")
    }

    @Test("A tool that is called as a hand-off would be is a tool: it waits, is made, and nobody takes over")
    func namedAsHandoff() async throws {
        let rounds = #"[[["transfer_to_account","7"]]]"#
        let (first, desk) = (TurnRecorder(), ToolDesk())
        try await run(first, desk, rounds: rounds)
        #expect(first.awaited == ["call_1 transfer_to_account 7"])
        let second = TurnRecorder()
        try await run(
            second, desk, rounds: rounds, after: first.committed.first, decisions: ["call_1": .approved])
        #expect(desk.ledger.map(\.tool) == ["transfer_to_account"])
        #expect(second.committed.first?.ending == .complete)
        #expect(first.speakers + second.speakers == [])
    }

    @Test(
        "A client is told of a call already that it is to wait, and of the others beside it that they don't")
    func marked() async throws {
        let recorder = TurnRecorder()
        try await run(recorder, ToolDesk())
        #expect(recorder.marks == ["look_up -", "book awaited"])
        // Also where the worker died before the turn paused, and another one goes on.
        let again = TurnRecorder()
        try await run(again, ToolDesk(), after: recorder.kept.first)
        #expect(again.marks == ["look_up -", "book awaited"])
        let decided = TurnRecorder()
        try await run(decided, ToolDesk(), after: recorder.committed.first, decisions: ["call_2": .approved])
        #expect(decided.marks == ["look_up -", "book approved"])
    }

    @Test("A turn's waits are counted, and a decision names one of them whole, also one that is over")
    func pauses() async throws {
        let turn = try await paused(ToolDesk())
        #expect(turn.pauses == [["call_2"]])
        #expect(try turn.pause(decidedBy: ["call_2": .approved]) == 0)
        #expect(throws: DecisionFault.unknownCall("call_1", waiting: ["call_2"])) {
            try turn.pause(decidedBy: ["call_1": .approved])
        }
        #expect(throws: DecisionFault.unknownCall("call_1", waiting: ["call_2"])) {
            try turn.pause(decidedBy: ["call_1": .approved, "call_2": .approved])
        }
        let over = turn.refusingApproval(at: 7)
        #expect(over.pauses == [["call_2"]])
        #expect(try over.pause(decidedBy: ["call_2": .approved]) == 0)
        #expect(throws: DecisionFault.unknownCall("call_1", waiting: [])) {
            try over.pause(decidedBy: ["call_1": .approved])
        }

        var twice = turn
        let calls = ["a", "b"].map { ToolCall(id: $0, name: "book", arguments: "{}", approval: .awaited) }
        twice.messages += [
            Message(role: .tool, content: "x", name: "book", toolCallID: "call_2", toolOutcome: .done),
            Message(role: .assistant, content: "", toolCalls: calls),
        ]
        #expect(twice.pauses == [["call_2"], ["a", "b"]])
        #expect(try twice.pause(decidedBy: ["call_2": .approved]) == 0)
        #expect(try twice.pause(decidedBy: ["a": .approved, "b": .refused(reason: "")]) == 1)
        #expect(throws: DecisionFault.undecided("b")) { try twice.pause(decidedBy: ["a": .approved]) }
    }

    @Test("The servers of a manifest have its time for a call")
    func ofTheManifest() throws {
        let spec = try server.spec(
            model: "none", tools: "[desk]",
            more: #"mcpServers: [{name: desk, url: "http://desk/mcp", timeout: 7s}]"#)
        let sources = ToolSource.all(
            of: spec, headers: { _ in nil }, http: server.http, logger: server.logger)
        #expect(sources.first { $0.name == "desk" }?.callLimit == .seconds(7))
    }

    @Test("An approval is part of the stored turn, and of no request to a model")
    func stored() throws {
        let call = ToolCall(id: "1", name: "book", arguments: "{}", approval: .approved)
        let message = Message(role: .assistant, content: "", toolCalls: [call])
        var writer = JSONWriter()
        Prompt(
            instructions: "Help.",
            newMessages: [message, Message(role: .tool, content: "x", toolCallID: "1")]
        )
        .write(to: &writer)
        let sent = String(decoding: writer.bytes, as: UTF8.self)
        #expect(sent.contains(#""name":"book""#) && !sent.contains("appro"))
    }
}

extension TurnRecorder {
    /// The calls that wait for a person, as clients are told of them.
    var awaited: [String] {
        events.compactMap { event in
            if case .approvalRequired(let call) = event {
                "\(call.id) \(call.name) \(call.arguments)"
            } else {
                nil
            }
        }
    }

    /// The calls as clients are told of them, with what is known of their approval.
    var marks: [String] {
        events.compactMap { event in
            if case .toolCall(let call) = event {
                "\(call.name) \(call.approval?.rawValue ?? "-")"
            } else {
                nil
            }
        }
    }
}

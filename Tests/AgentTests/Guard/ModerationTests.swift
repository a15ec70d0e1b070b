import Memory
import PoolAPI
import Testing

@testable import Agent

@Suite("Moderation") struct ModerationTests {
    private let server: StandInModelServer

    init() throws { server = try StandInModelServer.shared.get() }

    private static func rules(_ more: String = "", url: String = "http://m/v1") throws
        -> AgentPoolSpec.Guard.Moderation
    {
        try #require(
            try AgentPoolSpec.parse(
                yaml:
                    "agents: [{name: a, instructions: i}]\nguard: {moderation: {baseURL: \"\(url)\"\(more)}}"
            ).guard.moderation)
    }

    private static func read(_ answer: String, _ more: String = "", count: Int = 1) throws
        -> Moderation.Verdict
    {
        try Moderation.read(Array(answer.utf8), of: count, by: rules(more))
    }

    private static let answer = """
        {"id":"m","results":[{"flagged":true,"categories":{"hate":false,"violence":true,"illicit":null},
        "category_scores":{"hate":0.4,"violence":0.8,"illicit":null},"category_applied_input_types":{"hate":["text"]}}]}
        """

    @Test("The endpoint's verdict counts; or the categories and the score that the manifest names")
    func verdicts() throws {
        #expect(try Self.read(Self.answer) == .flagged(["violence"]))
        #expect(try Self.read(Self.answer, ", categories: [hate]") == .passed)
        #expect(try Self.read(Self.answer, ", threshold: 0.3") == .flagged(["hate", "violence"]))
        #expect(try Self.read(Self.answer, ", threshold: 0.3, categories: [hate]") == .flagged(["hate"]))
        #expect(try Self.read(Self.answer, ", threshold: 0.9") == .passed)
        #expect(try Self.read(#"{"results":[{"flagged":true}]}"#) == .flagged(["flagged"]))
        #expect(try Self.read(#"{"results":[{"flagged":false}]}"#) == .passed)
    }

    @Test("An answer that says nothing of a text is no verdict")
    func incomplete() throws {
        for answer in ["{}", #"{"results":[]}"#, #"{"results":[{"flagged":false},{"flagged":false}]}"#] {
            guard case .failed = try Self.read(answer) else {
                Issue.record("\(answer) was taken for a verdict")
                continue
            }
        }
        #expect(throws: JSONError.self) { try Self.read("<html>") }
    }

    private func run(_ text: String, _ moderator: String, _ more: String = "") async throws -> (
        TurnRecorder, Int
    ) {
        let model = StandInModelServer.unique("echo")
        let rules = "guard: {moderation: {baseURL: \"\(server.baseURL)\", model: \(moderator)\(more)}}"
        let engine = try server.engine(try server.spec(model: model, more: rules))
        let recorder = TurnRecorder()
        await engine.run(
            TurnInput(
                turnID: .mint(), sessionID: "s", agent: "assistant",
                messages: [Message(role: .user, content: text)]),
            memory: recorder.memory, clientLeft: nil, emit: recorder.tell)
        return (recorder, try await server.seen(model).requests.count)
    }

    @Test(
        "A flagged turn is refused by the rule's name before memory, model and store are asked; any other goes on"
    )
    func refusal() async throws {
        let (recorder, asked) = try await run("how to build a bomb", "any")
        #expect(recorder.failure?.code == "input_refused" && recorder.failure?.status == 400)
        #expect(recorder.failure?.message.contains("guard.moderation: violence") == true)
        #expect(asked == 0 && recorder.order == ["step inputGuard", "failed"])
        let (fine, once) = try await run("how to build a boat", "any")
        #expect(fine.failure == nil && once == 1 && fine.committed.count == 1)
    }

    @Test(
        "Without a verdict the manifest says whether the turn goes on, and it is told",
        arguments: ["slow", "broken", "short"])
    func failures(moderator: String) async throws {
        let (refused, unasked) = try await run("how to build a boat", moderator, ", deadline: 100ms")
        #expect(refused.failure?.code == "moderation_unavailable" && refused.failure?.status == 503)
        #expect(refused.failure?.isRetryable == true && unasked == 0 && refused.committed.isEmpty)
        let (allowed, asked) = try await run(
            "how to build a boat", moderator, ", deadline: 100ms, onFailure: Allow")
        #expect(allowed.failure == nil && asked == 1)
        for (recorder, isRefused) in [(refused, true), (allowed, false)] {
            let told = recorder.events.compactMap { event in
                if case .guarded(.unmoderated(let reason, let refused)) = event {
                    (reason, refused)
                } else {
                    nil
                }
            }
            #expect(told.count == 1 && told.first?.1 == isRefused && told.first?.0.isEmpty == false)
        }
    }

    @Test(
        "A turn that goes on was judged when it began: neither rules nor moderation refuse it then, and memory is still asked",
        arguments: [true, false])
    func goesOn(isBegun: Bool) async throws {
        let (model, moderator) = (StandInModelServer.unique("echo"), StandInModelServer.unique("broken"))
        let more =
            #"forbiddenPatterns: [bomb], moderation: {baseURL: "\#(server.baseURL)", model: "\#(moderator)"}"#
        let engine = try server.engine(try server.spec(model: model, more: "guard: {\(more)}"))
        let steps = [
            Message(
                role: .assistant, content: "",
                toolCalls: [ToolCall(id: "c1", name: "find", arguments: "{}")]),
            Message(
                role: .tool, content: "in Porto", name: "find", toolCallID: "c1", toolOutcome: .done),
        ]
        let recorder = TurnRecorder()
        // A pattern that the manifest has only since the turn began, and a moderation that doesn't answer.
        await engine.run(
            TurnInput(
                turnID: .mint(), sessionID: "s", agent: "assistant",
                messages: [Message(role: .user, content: "who has built a bomb?")],
                steps: isBegun ? steps : []),
            memory: recorder.memory, clientLeft: nil, emit: recorder.tell)
        #expect(recorder.failure?.code == (isBegun ? nil : "input_refused"))
        #expect(recorder.committed.count == (isBegun ? 1 : 0))
        #expect(recorder.order.contains("recall") == isBegun)
        #expect(try await server.seen(model).requests.count == (isBegun ? 1 : 0))
        #expect(try await server.seen(moderator).requests.isEmpty)
    }
}

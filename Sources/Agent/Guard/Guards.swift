/// All that `spec.guard` asks for, made once for the worker's life, and the node of a turn that carries it out.
import Logging
import Memory
import PoolAPI
import Transport

public struct Guards: Sendable {
    let input: InputGuard
    public let redaction: Redaction
    let injection: AgentPoolSpec.Guard.Injection
    let moderation: Moderation?

    /// Throws an error that names the field of a pattern that is none.
    init(
        _ rules: AgentPoolSpec.Guard, http: HTTPClient,
        secrets: @escaping @Sendable (SecretKeyRef) -> String?
    ) throws(InputGuard.InvalidRule) {
        input = try InputGuard(rules)
        redaction = try Redaction(rules)
        injection = rules.injection
        moderation = rules.moderation.map { Moderation($0, http: http, secrets: secrets) }
    }

    /// What is told with what comes by is told with it too.
    func telling(
        _ emit: @escaping @Sendable ([TurnEvent]) async throws -> Void
    ) -> @Sendable ([TurnEvent]) async throws -> Void {
        { [injection] events in
            // Most bring a piece of the reply, and nothing to tell of.
            guard events.contains(where: \.bringsTextsOfOthers) else { return try await emit(events) }
            try await emit(events.flatMap { [$0] + injection.notices(of: $0) })
        }
    }

    /// A batch as the model that sums it up is shown it.
    func shown(_ request: SummaryRequest) -> SummaryRequest {
        guard injection.onMatch == .drop else { return request }
        var request = request
        if InjectionMarker.found(in: request.previousSummary) != nil { request.previousSummary = "" }
        for turn in request.turns.indices {
            for index in request.turns[turn].turn.messages.indices {
                let message = request.turns[turn].turn.messages[index]
                guard message.role == .tool, InjectionMarker.found(in: message.content) != nil else {
                    continue
                }
                request.turns[turn].turn.messages[index].content = InjectionMarker.omission
            }
        }
        return request
    }
}

extension TurnEngine {
    /// The `inputGuard` node: what is cheap first, then the moderation. A turn is judged once, when it begins.
    ///
    /// - Returns: what there is to tell.
    func judge(_ state: inout TurnState) async -> [TurnEvent] {
        state.wantsMemory = InputGuard.wantsMemory(state.asked)
        let instructions = state.input.instructions.map { [Message(role: .system, content: $0)] } ?? []
        let messages =
            instructions + state.input.clientFunctions.texts + state.input.messages.flatMap(\.judged)
        let notices =
            guards.injection.notices(ofSummary: state.input.rollingSummary)
            + guards.injection.notices(ofAnswers: state.input.messages)
        // With steps on record the turn goes on: its messages are the stored ones, which were judged when it began, and calls were made
        // since. A refusal now, above all for want of a verdict, would eat a person's approval and leave the turn running for ever.
        guard state.input.steps.isEmpty else { return notices }
        switch guards.input.judge(messages) {
        case .admitted: break
        case .refused(let refusal):
            state.failure = .refused(refusal)
            return []
        }
        return notices + (await moderate(messages, &state))
    }

    private func moderate(_ messages: [Message], _ state: inout TurnState) async -> [TurnEvent] {
        guard let moderation = guards.moderation else { return [] }
        switch await moderation.verdict(on: messages) {
        case .passed: return []
        case .flagged(let categories):
            state.failure = .refused(
                InputGuard.Refusal(
                    rule: Moderation.field,
                    message: "The moderation refuses the new messages (rule \(Moderation.field): "
                        + "\(categories.joined(separator: ", "))). Say it in other words."))
            return []
        case .failed(let reason):
            let isRefused = moderation.refusesWithoutVerdict
            logger.warning(
                "The moderation gave no verdict",
                metadata: [
                    "turn": "\(state.input.turnID)", "reason": "\(guards.redaction.redacted(reason))",
                    "refused": "\(isRefused)",
                ])
            if isRefused { state.failure = .unmoderated }
            return [.guarded(.unmoderated(reason: guards.redaction.redacted(reason), isRefused: isRefused))]
        }
    }
}

extension Message {
    /// The message, and what its calls say: those of a client's own history.
    fileprivate var judged: [Message] {
        [self]
            + (toolCalls ?? []).map { call in
                let texts = JSONValue.texts(inJSON: call.arguments)
                return Message(role: .assistant, content: texts.joined(separator: "\n"))
            }
    }
}

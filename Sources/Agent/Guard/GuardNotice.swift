/// What the guard tells of a turn beside letting it pass: texts that bear marks of a prompt injection, and verdicts that were not had.
import Memory
import PoolAPI

public enum GuardNotice: Sendable, Equatable {
    case suspicion(Suspicion)
    /// The moderation endpoint gave no verdict; `spec.guard.moderation.onFailure` says what becomes of the turn.
    case unmoderated(reason: String, isRefused: Bool)

    /// A text of others in the turn's prompt bears a mark.
    public struct Suspicion: Sendable, Equatable {
        public enum Source: String, Sendable, CaseIterable {
            case memory, summary, tool, skill, agent
        }

        public var source: Source
        /// A memory's id, a call's id; empty for the rolling summary.
        public var id: String
        public var marker: InjectionMarker
        /// The model is not shown it.
        public var isLeftOut: Bool
    }
}

extension RecalledMemory {
    /// The first mark in what a model is shown of it.
    var injectionMarker: InjectionMarker? {
        InjectionMarker.found(in: text) ?? InjectionMarker.found(in: excerpt)
    }
}

extension TurnEvent {
    var bringsTextsOfOthers: Bool {
        switch self {
        case .recalled, .toolResult: true
        default: false
        }
    }
}

extension AgentPoolSpec.Guard.Injection {
    /// What there is to tell of the texts that come with these events.
    func notices(of event: TurnEvent) -> [TurnEvent] {
        switch event {
        case .recalled(let recall):
            recall.memories.compactMap { memory in
                memory.injectionMarker.map { notice(.memory, memory.id, $0) }
            }
        case .toolResult(let id, let name, let result):
            if result.newAgent == nil, let marker = InjectionMarker.found(in: result.text) {
                [notice(Self.source(of: result, name), id, marker)]
            } else {
                []
            }
        default: []
        }
    }

    /// What there is to tell of a rolling summary.
    func notices(ofSummary text: String) -> [TurnEvent] {
        InjectionMarker.found(in: text).map { [notice(.summary, "", $0)] } ?? []
    }

    /// What there is to tell of the answers with which a turn begins: those of the client's own functions.
    func notices(ofAnswers messages: [Message]) -> [TurnEvent] {
        messages.compactMap { message in
            guard message.role == .tool, let marker = InjectionMarker.found(in: message.content) else {
                return nil
            }
            return notice(.tool, message.toolCallID ?? "", marker)
        }
    }

    private func notice(
        _ source: GuardNotice.Suspicion.Source, _ id: String, _ marker: InjectionMarker
    ) -> TurnEvent {
        let isLeftOut = onMatch == .drop && source != .skill
        return .guarded(
            .suspicion(
                GuardNotice.Suspicion(source: source, id: id, marker: marker, isLeftOut: isLeftOut)))
    }

    private static func source(of result: ToolResult, _ name: String) -> GuardNotice.Suspicion.Source {
        if result.skillText != nil { return .skill }
        return name.hasPrefix(AgentTools.prefix) ? .agent : .tool
    }
}

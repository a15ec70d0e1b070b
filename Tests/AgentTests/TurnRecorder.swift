import Agent
import Memory
import Synchronization

/// What a client and a memory see of one turn, in the order in which it happened.
final class TurnRecorder: Sendable {
    enum Entry: Sendable {
        case told([TurnEvent])
        case recalled(String)
        case committed(Turn)
        case archived(ArchivePlan)
        case kept(Turn)
    }

    private let log = Mutex<[Entry]>([])
    private let recall: Recall
    private let plan: ArchivePlan?
    private let commitError: MemoryError?
    private let keepError: MemoryError?

    init(
        recall: Recall = Recall(), plan: ArchivePlan? = nil, commitError: MemoryError? = nil,
        keepError: MemoryError? = nil
    ) {
        self.keepError = keepError
        self.recall = recall
        self.plan = plan
        self.commitError = commitError
    }

    var entries: [Entry] { log.withLock { $0 } }

    var memory: TurnMemory {
        TurnMemory(
            recall: { query in
                self.add(.recalled(query))
                return self.recall
            },
            commit: { turn in
                if let error = self.commitError { throw error }
                self.add(.committed(turn))
                return CommitOutcome(
                    sequence: 1, plan: self.plan, stored: StoredTurn(sequence: 1, turn: turn))
            },
            keep: { turn in
                if let error = self.keepError { throw error }
                self.add(.kept(turn))
            },
            archive: { self.add(.archived($0)) })
    }

    @Sendable func tell(_ events: [TurnEvent]) async throws { add(.told(events)) }

    func add(_ entry: Entry) { log.withLock { $0.append(entry) } }

    var events: [TurnEvent] {
        entries.flatMap { entry -> [TurnEvent] in
            if case .told(let events) = entry { events } else { [] }
        }
    }

    /// The entries in a word each.
    var order: [String] {
        entries.flatMap { entry -> [String] in
            switch entry {
            case .told(let events): events.compactMap(Self.word)
            case .recalled: ["recall"]
            case .committed: ["commit"]
            case .archived: ["archive"]
            case .kept: ["keep"]
            }
        }
    }

    private static func word(_ event: TurnEvent) -> String? {
        switch event {
        case .step(let name, _): "step \(name)"
        case .recalled: "memories"
        case .text, .toolCall, .toolProgress, .toolResult, .agentChanged, .approvalRequired, .guarded: nil
        case .committed: "committed"
        case .failed: "failed"
        }
    }

    var text: String {
        events.reduce(into: "") { text, event in
            if case .text(let piece) = event { text += piece }
        }
    }

    var report: TurnReport? {
        events.lazy.compactMap { event in
            if case .committed(let report) = event { report } else { nil }
        }.first
    }

    var failure: TurnFailure? {
        events.lazy.compactMap { event in
            if case .failed(let failure) = event { failure } else { nil }
        }.first
    }

    var results: [String] {
        events.compactMap { event in
            if case .toolResult(let id, let name, let result) = event {
                "\(id) \(name) \(result.outcome.rawValue): \(result.text)"
            } else {
                nil
            }
        }
    }

    var kept: [Turn] {
        entries.compactMap { entry in
            if case .kept(let turn) = entry { turn } else { nil }
        }
    }

    var committed: [Turn] {
        entries.compactMap { entry in
            if case .committed(let turn) = entry { turn } else { nil }
        }
    }
}

extension Turn {
    /// The agent's words, as a client is shown them.
    var reply: String { shown.last { $0.role == .assistant }?.content ?? "" }
}

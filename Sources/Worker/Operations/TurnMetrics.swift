/// Counts how turns went: endings, refusals and how long clients waited, for the metrics page.
import Agent
import Memory
import NIOHTTP1
import Synchronization

final class TurnMetrics: Sendable {
    struct Snapshot: Sendable {
        /// Committed turns by ending: `complete`, `cancelled`, `failed`.
        var turns: [String: Int] = [:]
        /// Turns that ended in an error, by its code.
        var failures: [String: Int] = [:]
        /// Calls of tools by what came of them: `done`, `failed`, `not_sent`, `unknown`.
        var toolCalls: [String: Int] = [:]
        /// Texts in prompts that bear marks of a prompt injection, by their source.
        var suspicions: [String: Int] = [:]
        /// Turns on which the moderation gave no verdict, by what became of them: `allowed`, `refused`.
        var unmoderated: [String: Int] = [:]
        var replays = 0
        var concurrent = 0
        /// Refused requests by status code.
        var refused: [UInt: Int] = [:]
        var promptTokens = 0
        var completionTokens = 0
        var firstToken = Histogram()
        var duration = Histogram()
        var recall = Histogram()
        /// By the workflow's nodes.
        var steps: [Node: Histogram] = [:]

        struct Node: Hashable {
            var name: String
            var kind: String
        }
    }

    private let state = Mutex(Snapshot())

    var snapshot: Snapshot { state.withLock { $0 } }

    func refused(_ status: HTTPResponseStatus) {
        state.withLock { $0.refused[status.code, default: 0] += 1 }
    }

    /// Counts what a turn tells before it ends.
    func told(_ event: TurnEvent) {
        switch event {
        case .toolResult(_, _, let result):
            state.withLock { $0.toolCalls[result.outcome.rawValue, default: 0] += 1 }
        case .guarded(let notice): guarded(notice)
        default: break
        }
    }

    private func guarded(_ notice: GuardNotice) {
        state.withLock { state in
            switch notice {
            case .suspicion(let suspicion): state.suspicions[suspicion.source.rawValue, default: 0] += 1
            case .unmoderated(_, let isRefused):
                state.unmoderated[isRefused ? "refused" : "allowed", default: 0] += 1
            }
        }
    }

    func stepped(_ step: WorkflowStep) {
        let node = Snapshot.Node(name: step.name, kind: step.kind.rawValue)
        state.withLock { $0.steps[node, default: Histogram()].observe(step.duration) }
    }

    func replayed() { state.withLock { $0.replays += 1 } }

    func ended(with event: TurnEvent, after duration: Duration) {
        state.withLock { state in
            switch event {
            case .committed(let report):
                state.duration.observe(duration)
                state.turns[report.turn.ending.rawValue, default: 0] += 1
                if report.outcome.concurrent { state.concurrent += 1 }
                state.promptTokens += report.usage.promptTokens
                state.completionTokens += report.usage.completionTokens
                if let first = report.timings.firstToken { state.firstToken.observe(first) }
                if let recall = report.timings.recall { state.recall.observe(recall) }
            case .failed(let failure):
                state.failures[failure.code, default: 0] += 1
            default: break
            }
        }
    }
}

/// A cumulative histogram in Prometheus's sense.
struct Histogram: Sendable, Equatable {
    /// Upper bounds in seconds.
    static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

    private(set) var counts = [Int](repeating: 0, count: Histogram.bounds.count)
    private(set) var total = 0
    private(set) var sum = 0.0

    mutating func observe(_ duration: Duration) {
        let parts = duration.components
        let seconds = Double(parts.seconds) + Double(parts.attoseconds) / 1e18
        total += 1
        sum += seconds
        // Stored per bucket; cumulated when written.
        if let bucket = Self.bounds.firstIndex(where: { seconds <= $0 }) { counts[bucket] += 1 }
    }
}

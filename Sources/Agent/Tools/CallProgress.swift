/// Brings what running calls say of their progress to the one task that tells the client: paced, bounded, and never waited for.

import Memory
import Synchronization

/// The reports of one round of calls. Safe to use from any task; one task takes.
final class CallProgress: Sendable {
    struct Report: Sendable {
        var call: ToolCall
        var progress: ToolProgress
    }

    private struct State {
        var paces: [String: ProgressPace] = [:]
        var left: Int
    }

    private let state: Mutex<State>
    private let reports: (stream: AsyncStream<Report>, continuation: AsyncStream<Report>.Continuation)

    /// - Parameter left: how many may still be told in this turn.
    init(left: Int) {
        state = Mutex(State(left: left))
        // A client that is told late is told the newest.
        reports = AsyncStream.makeStream(of: Report.self, bufferingPolicy: .bufferingNewest(16))
    }

    /// How many more may be told in this turn.
    var left: Int { state.withLock(\.left) }

    /// Takes a report, or drops it: too many are no news.
    func report(_ progress: ToolProgress, of call: ToolCall, at now: ContinuousClock.Instant = .now) {
        let isTold = state.withLock { state in
            guard state.left > 0,
                state.paces[call.id, default: ProgressPace(begun: now)].mayTell(at: now)
            else { return false }
            state.left -= 1
            return true
        }
        if isTold { reports.continuation.yield(Report(call: call, progress: progress)) }
    }

    /// Waits for the next report; nil when the task is cancelled.
    func next() async -> Report? {
        for await report in reports.stream { return report }
        return nil
    }
}

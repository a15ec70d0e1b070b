/// Bounds the calls that run at once and those that wait for their turn.
import Synchronization

/// First come, first served. A call that is cancelled while it waits leaves the queue.
final class CallLimiter: Sendable {
    enum Refusal: Error { case full, cancelled, deadline }

    private struct State {
        var running = 0
        var nextTicket = 0
        /// In the order of their tickets.
        var waiting: [(ticket: Int, continuation: CheckedContinuation<Bool, Never>)] = []
        /// Cancelled before they began to wait.
        var cancelled: Set<Int> = []
    }

    private let state = Mutex(State())
    private let limit: Int
    private let queue: Int

    init(limit: Int, queue: Int) {
        self.limit = limit
        self.queue = queue
    }

    /// Must be followed by `release`, unless it throws. Waits no longer than `deadline`.
    func acquire(deadline: Duration) async throws(Refusal) {
        let isFree = state.withLock { state in
            guard state.running < limit else { return false }
            state.running += 1
            return true
        }
        if isFree { return }
        let outcome = await withTaskGroup(of: Result<Void, Refusal>?.self) { group in
            group.addTask { await self.wait() }
            group.addTask {
                // Ends early only by cancellation, which the other task sees by itself.
                try? await Task.sleep(for: deadline)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            if let first { return first }
            // Time was up first, but the turn may have come meanwhile: then it isn't given away.
            for await late in group { if case .success = late { return .success(()) } }
            return .failure(Task.isCancelled ? .cancelled : .deadline)
        }
        try outcome.get()
    }

    func release() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard !state.waiting.isEmpty else {
                state.running -= 1
                return nil
            }
            return state.waiting.removeFirst().continuation
        }
        next?.resume(returning: true)
    }

    private func wait() async -> Result<Void, Refusal> {
        let ticket = state.withLock { state in
            state.nextTicket += 1
            return state.nextTicket
        }
        var isFull = false
        let hasTurn = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Resumed once: here, by `release`, or by the cancellation that takes it out of the queue.
                let answer = state.withLock { state -> Bool? in
                    if state.cancelled.remove(ticket) != nil { return false }
                    if state.running < limit {
                        state.running += 1
                        return true
                    }
                    if state.waiting.count >= queue {
                        isFull = true
                        return false
                    }
                    state.waiting.append((ticket, continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let left = state.withLock { state -> CheckedContinuation<Bool, Never>? in
                guard let index = state.waiting.firstIndex(where: { $0.ticket == ticket }) else {
                    state.cancelled.insert(ticket)
                    return nil
                }
                return state.waiting.remove(at: index).continuation
            }
            left?.resume(returning: false)
        }
        // A cancellation that came too late for the queue left its mark.
        state.withLock { _ = $0.cancelled.remove(ticket) }
        if hasTurn { return .success(()) }
        return .failure(isFull ? .full : .cancelled)
    }
}

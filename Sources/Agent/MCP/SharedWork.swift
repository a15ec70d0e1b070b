/// Lets one caller at a time do a piece of work for all who want its outcome.

import Synchronization

/// Whoever comes while the work is being done waits for its outcome; where its doer gives up, the next one takes over.
final class SharedWork<Value: Sendable>: Sendable {
    private enum Turn: Sendable {
        /// To do the work, and to call `finish`.
        case yours
        case done(Result<Value, MCPError>)
        case late
        case cancelled
    }

    private typealias Waiter = CheckedContinuation<Turn, Never>

    private struct State {
        var isRunning = false
        var lastNumber = 0
        /// In the order in which they came; an entry without a waiter is about to wait.
        var waiters: [(number: Int, waiter: Waiter?)] = []
    }

    private let server: MCPServerName
    private let state = Mutex(State())

    init(server: MCPServerName) {
        self.server = server
    }

    /// Does the work, or waits for whoever does it.
    func run(
        until deadline: ContinuousClock.Instant, _ work: () async throws(MCPError) -> Value
    ) async throws(MCPError) -> Value {
        switch await turn(until: deadline) {
        case .yours:
            do {
                let value = try await work()
                finish(.success(value))
                return value
            } catch {
                finish(.failure(error))
                throw error
            }
        case .done(let outcome): return try outcome.get()
        case .late: throw .late(server)
        case .cancelled: throw .cancelled(server)
        }
    }

    private func turn(until deadline: ContinuousClock.Instant) async -> Turn {
        let number: Int? = state.withLock { state in
            if !state.isRunning {
                state.isRunning = true
                return nil
            }
            state.lastNumber += 1
            state.waiters.append((state.lastNumber, nil))
            return state.lastNumber
        }
        guard let number else { return .yours }
        return await withTaskGroup(of: Turn.self) { group in
            group.addTask { await self.wait(number) }
            group.addTask {
                // Ends early only where it is cancelled, and then the wait has ended.
                try? await Task.sleep(until: deadline, clock: .continuous)
                return .late
            }
            let first = await group.next() ?? .late
            group.cancelAll()
            // The turn may have come at the same moment as the deadline: it must not be lost.
            let second = await group.next() ?? .late
            return [first, second].first(where: Self.isGiven) ?? (Task.isCancelled ? .cancelled : .late)
        }
    }

    private static func isGiven(_ turn: Turn) -> Bool {
        switch turn {
        case .yours, .done: true
        case .late, .cancelled: false
        }
    }

    private func wait(_ number: Int) async -> Turn {
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let turn: Turn? = state.withLock { state in
                    guard let place = state.waiters.firstIndex(where: { $0.number == number }) else {
                        return .cancelled
                    }
                    // The work may have ended, or its doer given up, before this came to wait.
                    if !state.isRunning {
                        state.waiters.remove(at: place)
                        state.isRunning = true
                        return .yours
                    }
                    state.waiters[place].waiter = waiter
                    return nil
                }
                if let turn { waiter.resume(returning: turn) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                let place = state.waiters.firstIndex { $0.number == number }
                return place.flatMap { state.waiters.remove(at: $0).waiter }
            }
            waiter?.resume(returning: .cancelled)
        }
    }

    private func finish(_ outcome: Result<Value, MCPError>) {
        var isHandedOver = false
        if case .failure(let error) = outcome { isHandedOver = error.isOfItsCaller }
        let turns: [(Waiter, Turn)] = state.withLock { state in
            if isHandedOver {
                // To the first who waits. Those who are about to wait find nobody running where there is none.
                guard let place = state.waiters.firstIndex(where: { $0.waiter != nil }),
                    let next = state.waiters.remove(at: place).waiter
                else {
                    state.isRunning = false
                    return []
                }
                return [(next, .yours)]
            }
            state.isRunning = false
            let waiting = state.waiters.compactMap { entry in entry.waiter.map { ($0, Turn.done(outcome)) } }
            state.waiters.removeAll { $0.waiter != nil }
            return waiting
        }
        for (waiter, turn) in turns { waiter.resume(returning: turn) }
    }
}

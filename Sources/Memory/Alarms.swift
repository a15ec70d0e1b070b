/// Wakes tasks at their deadlines with one timer for all of them: a sleeping task each would cost more than most deadlines guard.
import Dispatch
import Synchronization

/// Deadlines are kept in slots of `resolution`, so a task may wake that much late, never early.
final class Alarms: Sendable {
    static let shared = Alarms()

    private static let resolution: Duration = .milliseconds(10)

    private struct Shared {
        var slots: [Int64: [Int: CheckedContinuation<Bool, Never>]] = [:]
        /// Waits that have a token and no continuation yet; a wait that is called off now leaves before it has begun.
        var beginning: Set<Int> = []
        var lastToken = 0
        var isTicking = false
    }

    private let epoch = ContinuousClock.now
    private let queue = DispatchQueue(label: "agentpool.memory.alarms")
    private let shared = Mutex(Shared())

    /// True once the time is over; false at once where the task is cancelled.
    func wait(for duration: Duration) async -> Bool {
        let slot = slot(at: .now + duration) + 1
        let token = shared.withLock { shared in
            shared.lastToken += 1
            shared.beginning.insert(shared.lastToken)
            return shared.lastToken
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isCalledOff, startsTicking) = shared.withLock { shared in
                    guard shared.beginning.remove(token) != nil else { return (true, false) }
                    shared.slots[slot, default: [:]][token] = continuation
                    defer { shared.isTicking = true }
                    return (false, !shared.isTicking)
                }
                if isCalledOff { continuation.resume(returning: false) }
                if startsTicking { tickLater() }
            }
        } onCancel: {
            let waiting = shared.withLock { shared in
                shared.beginning.remove(token)
                return shared.slots[slot]?.removeValue(forKey: token)
            }
            waiting?.resume(returning: false)
        }
    }

    private func slot(at instant: ContinuousClock.Instant) -> Int64 {
        Int64(epoch.duration(to: instant) / Self.resolution)
    }

    private func tickLater() {
        queue.asyncAfter(deadline: .now() + .milliseconds(10)) { self.tick() }
    }

    private func tick() {
        let now = slot(at: .now)
        let (due, goesOn) = shared.withLock { shared in
            let slots = shared.slots.keys.filter { $0 <= now }
            let due = slots.flatMap { shared.slots.removeValue(forKey: $0).map { Array($0.values) } ?? [] }
            shared.isTicking = !shared.slots.isEmpty
            return (due, shared.isTicking)
        }
        for continuation in due { continuation.resume(returning: true) }
        if goesOn { tickLater() }
    }
}

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
        /// The slot for which the timer is set.
        var nextTick: Int64?

        /// The slot to set the timer for; nil where it is set early enough. A wait that is called off leaves its timer: setting
        /// it anew for each would cost more than one that finds nothing to do.
        mutating func setTimer(for slot: Int64?) -> Int64? {
            guard let slot, slot < nextTick ?? .max else { return nil }
            nextTick = slot
            return slot
        }
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
                let (isCalledOff, timer) = shared.withLock { shared -> (Bool, Int64?) in
                    guard shared.beginning.remove(token) != nil else { return (true, nil) }
                    shared.slots[slot, default: [:]][token] = continuation
                    return (false, shared.setTimer(for: slot))
                }
                if isCalledOff { continuation.resume(returning: false) }
                if let timer { tick(at: timer) }
            }
        } onCancel: {
            let waiting = shared.withLock { shared in
                shared.beginning.remove(token)
                let waiting = shared.slots[slot]?.removeValue(forKey: token)
                if shared.slots[slot]?.isEmpty == true { shared.slots[slot] = nil }
                return waiting
            }
            waiting?.resume(returning: false)
        }
    }

    private func slot(at instant: ContinuousClock.Instant) -> Int64 {
        Int64(epoch.duration(to: instant) / Self.resolution)
    }

    private func tick(at slot: Int64) {
        let left = Self.resolution * Double(slot) - epoch.duration(to: .now)
        queue.asyncAfter(deadline: .now() + left / .seconds(1)) { self.tick() }
    }

    private func tick() {
        let now = slot(at: .now)
        let (due, timer) = shared.withLock { shared in
            let slots = shared.slots.keys.filter { $0 <= now }
            let due = slots.flatMap { shared.slots.removeValue(forKey: $0).map { Array($0.values) } ?? [] }
            if shared.nextTick ?? .max <= now { shared.nextTick = nil }
            return (due, shared.setTimer(for: shared.slots.keys.min()))
        }
        for continuation in due { continuation.resume(returning: true) }
        if let timer { tick(at: timer) }
    }
}

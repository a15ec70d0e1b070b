/// Something that happens once in a process's life, and whoever waits for it.
import Synchronization

final class OnceSignal: Sendable {
    private struct Shared: Sendable {
        var isSet = false
        var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
        var lastToken = 0
    }

    private let shared = Mutex(Shared())

    var isSet: Bool { shared.withLock(\.isSet) }

    /// Idempotent.
    func set() {
        let waiting = shared.withLock { shared in
            shared.isSet = true
            defer { shared.waiting = [:] }
            return shared.waiting
        }
        for continuation in waiting.values { continuation.resume() }
    }

    /// Returns when the signal is set, or the task is cancelled. Waiting is bounded by whoever waits: running turns, callers of the admin port.
    func wait() async {
        let token = shared.withLock { shared in
            shared.lastToken += 1
            return shared.lastToken
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = shared.withLock { shared in
                    if shared.isSet || Task.isCancelled { return true }
                    shared.waiting[token] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            shared.withLock { $0.waiting.removeValue(forKey: token) }?.resume()
        }
    }
}

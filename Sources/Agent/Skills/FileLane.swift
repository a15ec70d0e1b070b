/// Owns the calls of one folder's file system: a thread of its own makes them, one after the other, and nobody waits longer than is worth.
import Synchronization

/// A call into a hung network volume doesn't return, and can't be taken back. Here it holds one thread, and none of those that tasks
/// share. While it hangs no other call into that folder is begun: who asks is told so at once.
final class FileLane: Sendable {
    /// How long a call is waited for.
    static let patience: Duration = .seconds(2)
    /// Calls that may wait for their turn.
    static let capacity = 256

    private struct State {
        var waiting: [@Sendable () -> Void] = []
        /// There is a thread that makes the calls.
        var isServed = false
        /// When the call was begun that is being made.
        var since: ContinuousClock.Instant?
    }

    private let state = Mutex(State())
    private let patience: Duration

    init(patience: Duration = FileLane.patience) { self.patience = patience }

    /// Makes a call that may block.
    ///
    /// - Returns: nil where it is given up: it took too long, one before it does, too many wait, there is no thread to be had, or the
    ///   task is cancelled. It may still be made.
    func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value? {
        let call = FileCall<Value>()
        guard enter({ self.make(call, work) }) else { return nil }
        return await withTaskGroup(of: Void.self) { group in
            group.addTask { [patience] in
                // Ends early where the call is over, or its task.
                try? await Task.sleep(for: patience)
                call.end(nil)
            }
            defer { group.cancelAll() }
            return await call.value()
        }
    }

    private func enter(_ job: @escaping @Sendable () -> Void) -> Bool {
        let isServed: Bool? = state.withLock { state in
            let isStuck = state.since.map { $0.duration(to: .now) >= patience } ?? false
            guard !isStuck, state.waiting.count < Self.capacity else { return nil }
            state.waiting.append(job)
            defer { state.isServed = true }
            return state.isServed
        }
        guard let isServed else { return false }
        if isServed || DetachedThread.start({ self.main() }) { return true }
        state.withLock { state in
            state.waiting = []
            state.isServed = false
        }
        return false
    }

    private func make<Value: Sendable>(_ call: FileCall<Value>, _ work: @Sendable () -> Value) {
        guard !call.isOver else { return }
        state.withLock { $0.since = .now }
        let value = work()
        state.withLock { $0.since = nil }
        call.end(value)
    }

    /// Makes what waits, and ends with the last of it.
    private func main() {
        while true {
            let job: (@Sendable () -> Void)? = state.withLock { state in
                guard !state.waiting.isEmpty else {
                    state.isServed = false
                    return nil
                }
                return state.waiting.removeFirst()
            }
            guard let job else { return }
            job()
        }
    }
}

/// One call, between the thread that makes it and the task that waits for it.
private final class FileCall<Value: Sendable>: Sendable {
    private enum State {
        case begun
        case awaited(CheckedContinuation<Value?, Never>)
        case over(Value?)
    }

    private let state = Mutex(State.begun)

    /// Nobody waits for it any more.
    var isOver: Bool { state.withLock { if case .over = $0 { true } else { false } } }

    /// Returns when the call has returned, or is given up.
    func value() async -> Value? {
        await withCheckedContinuation { asker in
            let end: Value?? = state.withLock { state in
                if case .over(let value) = state { return .some(value) }
                state = .awaited(asker)
                return .none
            }
            if let end { asker.resume(returning: end) }
        }
    }

    /// The first end counts.
    ///
    /// - Parameter value: nil where the call is given up.
    func end(_ value: Value?) {
        let asker: CheckedContinuation<Value?, Never>? = state.withLock { state in
            if case .over = state { return nil }
            defer { state = .over(value) }
            if case .awaited(let asker) = state { return asker }
            return nil
        }
        asker?.resume(returning: value)
    }
}

/// Runs a work queue: takes keys as they become due and works on several at one time.
import Synchronization

/// A work queue that any task may add to, and the tasks that work it off.
final class Dispatcher<Key: Hashable & Sendable>: Sendable {
    private let queue: Mutex<WorkQueue<Key>>
    private let changed = Nudge()

    init(_ queue: WorkQueue<Key>) {
        self.queue = Mutex(queue)
    }

    /// Makes the keys due after `delay`, or leaves them due earlier.
    func add(_ keys: some Sequence<Key>, after delay: Duration = .zero) {
        let time = ContinuousClock.now.advanced(by: delay)
        queue.withLock { queue in
            for key in keys { queue.add(key, at: time) }
        }
        changed.send()
    }

    func add(_ key: Key, after delay: Duration = .zero) {
        add(CollectionOfOne(key), after: delay)
    }

    func remove(_ key: Key) {
        queue.withLock { $0.remove(key) }
    }

    /// What the queue is like now, for metrics and health.
    func snapshot() -> Snapshot {
        queue.withLock { queue in
            Snapshot(
                depth: queue.overdue(.now), adds: queue.adds, retries: queue.retries,
                running: queue.runningCount,
                longestRun: queue.longestRun(.now))
        }
    }

    /// Works the queue off until the task is cancelled; runs that have begun end first.
    func run(_ work: @escaping @Sendable (Key) async -> WorkQueue<Key>.Outcome) async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                switch queue.withLock({ $0.next(.now) }) {
                case .run(let key):
                    group.addTask {
                        let outcome = await work(key)
                        self.queue.withLock {
                            $0.finished(key, outcome, .now, spread: .random(in: 0...1))
                        }
                        self.changed.send()
                    }
                case .waitUntil(let time): await changed.wait(until: time)
                case .waitForChange: await changed.wait()
                }
            }
        }
    }

    struct Snapshot: Sendable {
        /// Keys that wait for a worker; not those that wait for their time.
        var depth: Int
        var adds: Int
        var retries: Int
        var running: Int
        var longestRun: Duration
    }
}

/// Decides which commits go together: an idle connection takes all that wait, a busy one leaves them to gather.
import NIOCore

struct CommitBatching<Item> {
    struct Waiting {
        var item: Item
        var bytes: Int
        var deadline: NIODeadline
        /// How many replicas are to confirm it.
        var replicas: Int
    }

    struct Batch {
        var link: Int
        var commits: [Waiting]

        /// The number that serves every commit of the batch.
        var replicas: Int { commits.map(\.replicas).max() ?? 0 }
        var lastDeadline: NIODeadline { commits.map(\.deadline).max() ?? .now() }
    }

    enum AddAction {
        case start(Batch)
        case gather
        case refuse
    }

    /// Commits in one batch, and their bytes.
    static var batchLimit: Int { 256 }
    static var batchBytes: Int { 8 << 20 }

    private var waiting = CircularBuffer<Waiting>()
    /// By connection; nil: it is idle.
    private var running: [[(item: Item, deadline: NIODeadline, isTold: Bool)]?]
    private let waitingLimit: Int

    init(links: Int, waitingLimit: Int) {
        running = Array(repeating: nil, count: links)
        self.waitingLimit = waitingLimit
    }

    var count: Int { waiting.count + running.reduce(0) { $0 + ($1?.count ?? 0) } }

    mutating func add(_ commit: Waiting) -> AddAction {
        guard waiting.count < waitingLimit else { return .refuse }
        waiting.append(commit)
        guard let idle = running.firstIndex(where: { $0 == nil }), let batch = next(for: idle) else {
            return .gather
        }
        return .start(batch)
    }

    /// A batch has its answers, or will get none.
    ///
    /// - Returns: what gathered meanwhile.
    mutating func ended(on link: Int) -> Batch? {
        running[link] = nil
        return next(for: link)
    }

    /// Commits whose deadline passed: those that wait are dropped, those that run go on without a listener.
    mutating func expire(now: NIODeadline) -> (waiting: [Item], running: [Item]) {
        let late = waiting.filter { $0.deadline <= now }.map(\.item)
        if !late.isEmpty { waiting.removeAll { $0.deadline <= now } }
        var told: [Item] = []
        for link in running.indices {
            guard var batch = running[link] else { continue }
            for index in batch.indices where batch[index].deadline <= now && !batch[index].isTold {
                batch[index].isTold = true
                told.append(batch[index].item)
            }
            running[link] = batch
        }
        return (late, told)
    }

    /// When to call `expire`; nil: never.
    var earliest: NIODeadline? {
        let next = waiting.map(\.deadline).min()
        let due = running.lazy.compactMap { $0 }.joined().filter { !$0.isTold }.map(\.deadline).min()
        return switch (next, due) {
        case (let next?, let due?): min(next, due)
        default: next ?? due
        }
    }

    /// Everything that waits, for it will not be sent.
    mutating func close() -> [Item] {
        defer { waiting.removeAll() }
        return waiting.map(\.item)
    }

    private mutating func next(for link: Int) -> Batch? {
        var commits: [Waiting] = []
        var bytes = 0
        while let first = waiting.first, commits.count < Self.batchLimit,
            commits.isEmpty || bytes + first.bytes <= Self.batchBytes
        {
            bytes += first.bytes
            commits.append(waiting.removeFirst())
        }
        guard !commits.isEmpty else { return nil }
        running[link] = commits.map { ($0.item, $0.deadline, false) }
        return Batch(link: link, commits: commits)
    }
}

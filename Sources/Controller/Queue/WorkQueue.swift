/// Decides which key is worked on next: each key waits once, the earliest time wins, and no key runs twice at one time.

/// The queue of a controller as a value; time comes in with each call.
///
/// A key is waiting, running, or unknown. One that is added while it runs waits and is given out after it has finished. Keys that are
/// due are given out in the order in which they became due. Holds at most one entry a key, so it is as large as its keys are many.
struct WorkQueue<Key: Hashable & Sendable>: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// What a caller that asked for work does now.
    enum Order: Equatable {
        case run(Key)
        /// Nothing is due before then.
        case waitUntil(Instant)
        /// Nothing waits, or as many run as may.
        case waitForChange
    }

    /// How a run ended.
    enum Outcome: Equatable, Sendable {
        case done
        /// Fine, and to be looked at again after this time at the latest.
        case again(after: Duration)
        /// Looked at again after a delay that doubles with each failure in a row, and not before a server that asked to be left
        /// alone for so long wants to be asked again.
        case failed(atLeast: Duration = .zero)
    }

    /// The delay after a first failure.
    let firstRetry: Duration
    /// The longest delay after a failure.
    let lastRetry: Duration
    let workers: Int
    /// No server is left alone for longer, whatever it asks for.
    private static var longestRest: Duration { .seconds(300) }

    private var due: [Key: Instant] = [:]
    private var running: [Key: Instant] = [:]
    private var failures: [Key: Int] = [:]
    private var heap = DueHeap<Key>()
    /// Keys that have been added so far, without those that were waiting already for the same time or an earlier one.
    private(set) var adds = 0
    private(set) var retries = 0

    init(workers: Int, firstRetry: Duration = .milliseconds(250), lastRetry: Duration = .seconds(60)) {
        precondition(workers > 0, "a queue that nobody works on fills for ever")
        self.workers = workers
        self.firstRetry = firstRetry
        self.lastRetry = lastRetry
    }

    /// Keys that wait.
    var depth: Int { due.count }
    var runningCount: Int { running.count }

    /// Keys whose time has come and that wait for a worker.
    func overdue(_ now: Instant) -> Int { due.values.count { $0 <= now } }

    /// How long the longest of the runs has been running.
    func longestRun(_ now: Instant) -> Duration {
        running.values.min().map { $0.duration(to: now) } ?? .zero
    }

    /// Makes the key wait until `time`; where it waits already, the earlier time stays.
    mutating func add(_ key: Key, at time: Instant) {
        if let known = due[key], known <= time { return }
        adds += 1
        due[key] = time
        heap.insert(key, at: time)
        // Entries whose key waits for an earlier time stay behind; without this they would add up.
        if heap.count > 64, heap.count > 2 * due.count { heap.rebuild(due) }
    }

    /// Gives out the next key that is due and does not run.
    mutating func next(_ now: Instant) -> Order {
        guard running.count < workers else { return .waitForChange }
        // Taken out of the heap while they run; `finished` puts them back.
        while let first = heap.first {
            guard let time = due[first.key], time == first.time, running[first.key] == nil else {
                heap.removeFirst()
                continue
            }
            guard time <= now else { return .waitUntil(time) }
            heap.removeFirst()
            due[first.key] = nil
            running[first.key] = now
            return .run(first.key)
        }
        return .waitForChange
    }

    /// Ends the run of a key.
    ///
    /// - Parameter spread: 0 to 1, drawn at random: how much of the second half of a retry's delay is waited.
    mutating func finished(_ key: Key, _ outcome: Outcome, _ now: Instant, spread: Double = 1) {
        running[key] = nil
        switch outcome {
        case .done:
            failures[key] = nil
        case .again(let delay):
            failures[key] = nil
            add(key, at: now.advanced(by: delay))
        case .failed(let rest):
            retries += 1
            let count = failures[key, default: 0] + 1
            failures[key] = count
            let delay = retryDelay(after: count) * (0.5 + 0.5 * spread)
            add(key, at: now.advanced(by: max(delay, min(rest, Self.longestRest))))
        }
        // Added while it ran: its entry was passed over, perhaps dropped.
        if let time = due[key] { heap.insert(key, at: time) }
    }

    /// Forgets a key that waits, and its failures; one that runs ends as it would.
    mutating func remove(_ key: Key) {
        due[key] = nil
        failures[key] = nil
    }

    /// The full delay after this many failures in a row.
    func retryDelay(after failures: Int) -> Duration {
        var delay = firstRetry
        for _ in 1..<max(1, min(failures, 32)) where delay < lastRetry { delay *= 2 }
        return min(delay, lastRetry)
    }
}

/// A binary heap of keys by time; keys of one time come out in the order in which they went in.
private struct DueHeap<Key: Sendable>: Sendable {
    struct Entry: Sendable {
        var time: ContinuousClock.Instant
        var order: UInt64
        var key: Key

        func isBefore(_ other: Entry) -> Bool {
            time != other.time ? time < other.time : order < other.order
        }
    }

    private var entries: [Entry] = []
    private var inserted: UInt64 = 0

    /// The earliest; nil where nothing waits.
    var first: Entry? { entries.first }
    var count: Int { entries.count }

    mutating func insert(_ key: Key, at time: ContinuousClock.Instant) {
        inserted += 1
        entries.append(Entry(time: time, order: inserted, key: key))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].isBefore(entries[parent]) else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        guard let last = entries.popLast(), !entries.isEmpty else { return }
        entries[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < entries.count else { return }
            if child + 1 < entries.count, entries[child + 1].isBefore(entries[child]) { child += 1 }
            guard entries[child].isBefore(entries[parent]) else { return }
            entries.swapAt(child, parent)
            parent = child
        }
    }

    /// Keeps one entry a key, in the order in which the entries stand by time.
    mutating func rebuild(_ due: [Key: ContinuousClock.Instant]) where Key: Hashable {
        var kept: Set<Key> = []
        entries = entries.sorted { $0.isBefore($1) }
            .filter { due[$0.key] == $0.time && kept.insert($0.key).inserted }
    }
}

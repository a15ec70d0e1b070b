/// Decides whether what L1 holds of a principal is still what L2 has, from what the own writes answer and what is heard of others'.

/// In L2 a principal names one holder: the worker that wrote last. Whoever writes next takes its place, and the one before is told.
/// So a worker that is named and has heard nothing knows that it has seen every change.
struct Holdings {
    private struct Holding {
        /// The principal's version in L2 when this was last known to be whole.
        var version: Int64
        var isOurs: Bool
    }

    /// What had been heard at some moment.
    struct Mark: Hashable {
        fileprivate var told: UInt64
        fileprivate var gaps: UInt64
    }

    private var holdings: BoundedCache<Digest128, Holding>
    /// Counts what was heard. Principals share counters: news of another may cost a read, and hide nothing.
    private var told = [UInt64](repeating: 0, count: 1024)
    private var gaps: UInt64 = 0
    /// Whether news of others would arrive.
    private(set) var isListening = false

    init(limit: Int) {
        holdings = BoundedCache(limit: limit)
    }

    /// Whether every change of the principal has been seen.
    mutating func isOurs(_ principal: Digest128) -> Bool {
        isListening && holdings.value(for: principal)?.isOurs == true
    }

    /// To be taken before L2 is asked, and given with its answer.
    func mark(of principal: Digest128) -> Mark { Mark(told: told[slot(principal)], gaps: gaps) }

    /// L2 was read.
    ///
    /// - Returns: whether it was at the version that was known; else what was held of the principal is void.
    mutating func read(_ principal: Digest128, version: Int64, isOurs: Bool, since mark: Mark) -> Bool {
        let before = holdings.value(for: principal)
        holdings.insert(
            Holding(version: version, isOurs: isOurs && mark == self.mark(of: principal)), for: principal)
        return before?.version == version
    }

    /// A write of our own took the principal from one version to another, and named us.
    ///
    /// - Returns: whether nobody wrote between; else what was held of the principal is void.
    mutating func wrote(_ principal: Digest128, from before: Int64, to after: Int64, since mark: Mark) -> Bool
    {
        let known = holdings.value(for: principal)
        // The answer of an earlier write, that comes late.
        if let known, known.version >= after { return false }
        holdings.insert(
            Holding(version: after, isOurs: mark == self.mark(of: principal)), for: principal)
        return known?.version == before
    }

    /// Another worker has changed something of the principal, or a write of our own has an unknown end.
    mutating func lost(_ principal: Digest128) {
        told[slot(principal)] &+= 1
        holdings.remove(principal)
    }

    mutating func began() {
        isListening = true
        gaps &+= 1
    }

    /// News may be missing from here on: nothing is known of anybody any more.
    mutating func ended() {
        isListening = false
        gaps &+= 1
        holdings.removeAll()
    }

    private func slot(_ principal: Digest128) -> Int { Int(UInt(bitPattern: principal.hashValue) % 1024) }
}

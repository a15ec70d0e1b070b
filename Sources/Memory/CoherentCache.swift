/// A cache of what was read from a store that this process alone writes: nothing read before a change is kept after it.
struct CoherentCache<Value> {
    private var entries: BoundedCache<Digest128, Value>
    /// Counts the changes. Owners share counters: somebody else's change may refuse an answer, but lets none in.
    private var changes = [UInt64](repeating: 0, count: 1024)

    init(limit: Int) {
        entries = BoundedCache(limit: limit)
    }

    mutating func value(for owner: Digest128) -> Value? { entries.value(for: owner) }

    /// To be taken before the store is read, and given with what was read.
    func mark(of owner: Digest128) -> UInt64 { changes[slot(owner)] }

    /// Keeps what was read unless something has changed since the mark; `merge` gets what is there and answers what it costs.
    mutating func keep(
        for owner: Digest128, since mark: UInt64, beginning empty: @autoclosure () -> Value,
        _ merge: (inout Value) -> Int
    ) {
        guard changes[slot(owner)] == mark else { return }
        var value = entries.value(for: owner) ?? empty()
        let cost = merge(&value)
        entries.insert(value, for: owner, cost: cost)
    }

    /// To be called after a change is in the store and before anybody is told; `update` answers what the value costs now, or
    /// nil to drop it.
    mutating func changed(_ owner: Digest128, _ update: (inout Value) -> Int? = { _ in nil }) {
        changes[slot(owner)] += 1
        entries.modify(owner, update)
    }

    private func slot(_ owner: Digest128) -> Int { Int(UInt(bitPattern: owner.hashValue) % 1024) }
}

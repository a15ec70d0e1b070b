/// A cache that keeps what was used lately in bounded room: two generations, of which the older is dropped whole.
struct BoundedCache<Key: Hashable, Value> {
    private struct Entry {
        var value: Value
        var cost: Int
    }

    private let generationLimit: Int
    private var young: [Key: Entry] = [:]
    private var youngCost = 0
    private var old: [Key: Entry] = [:]

    /// Keeps entries that cost between half of `limit` and `limit` together.
    init(limit: Int) {
        generationLimit = max(1, limit / 2)
    }

    mutating func value(for key: Key) -> Value? {
        if let entry = young[key] { return entry.value }
        guard let entry = old.removeValue(forKey: key) else { return nil }
        insert(entry.value, for: key, cost: entry.cost)
        return entry.value
    }

    /// One that costs more than half of the limit is not kept.
    mutating func insert(_ value: Value, for key: Key, cost: Int = 1) {
        remove(key)
        guard cost <= generationLimit else { return }
        if youngCost + cost > generationLimit {
            old = young
            young = [:]
            youngCost = 0
        }
        young[key] = Entry(value: value, cost: cost)
        youngCost += cost
    }

    /// Changes a value where it lies; `change` returns what it costs then, or nil to drop it.
    mutating func modify(_ key: Key, _ change: (inout Value) -> Int?) {
        // Taken out, so that the change finds it with one owner and needs no copy.
        guard
            var entry = young.removeValue(forKey: key).map({
                youngCost -= $0.cost; return $0
            })
                ?? old.removeValue(forKey: key)
        else { return }
        if let cost = change(&entry.value) { insert(entry.value, for: key, cost: cost) }
    }

    mutating func remove(_ key: Key) {
        if let entry = young.removeValue(forKey: key) { youngCost -= entry.cost }
        old[key] = nil
    }

    mutating func removeAll() {
        (young, old, youngCost) = ([:], [:], 0)
    }
}

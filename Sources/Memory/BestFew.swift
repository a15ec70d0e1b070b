/// The few best of many offers, best first, without sorting the rest.
struct BestFew<Item> {
    private(set) var entries: [(item: Item, value: Double)] = []
    private let limit: Int

    init(_ limit: Int) {
        self.limit = max(limit, 0)
        entries.reserveCapacity(self.limit + 1)
    }

    /// Of equals the one that was offered first stands first.
    mutating func offer(_ item: Item, _ value: Double) {
        if entries.count == limit {
            guard let last = entries.last, value > last.value else { return }
        }
        let place = entries.lastIndex { $0.value >= value }.map { $0 + 1 } ?? 0
        entries.insert((item, value), at: place)
        if entries.count > limit { entries.removeLast() }
    }
}

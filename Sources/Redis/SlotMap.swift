/// Which node serves which slot.
struct SlotMap: Equatable {
    /// Indices into `nodes`; `unserved` where nobody is known to serve the slot.
    private var owners: [UInt16]
    private(set) var nodes: [RedisAddress]

    private static let unserved = UInt16.max

    /// A map in which nobody serves anything.
    init() {
        owners = Array(repeating: Self.unserved, count: KeySlot.count)
        nodes = []
    }

    /// One node serves everything.
    init(all node: RedisAddress) {
        owners = Array(repeating: 0, count: KeySlot.count)
        nodes = [node]
    }

    subscript(slot: Int) -> RedisAddress? {
        let owner = owners[slot]
        return owner == Self.unserved ? nil : nodes[Int(owner)]
    }

    var served: Int { owners.count { $0 != Self.unserved } }

    mutating func give(_ slots: ClosedRange<Int>, to node: RedisAddress) {
        let index = add(node)
        for slot in slots.clamped(to: 0...KeySlot.count - 1) { owners[slot] = index }
    }

    private mutating func add(_ node: RedisAddress) -> UInt16 {
        if let index = nodes.firstIndex(of: node) { return UInt16(index) }
        nodes.append(node)
        return UInt16(nodes.count - 1)
    }
}

/// Decides what is known of the servers: who serves which slot, whose word about it counts, and who is gone.
///
/// Redirections are news about one slot. An answer that was asked for before such news came knows less about that slot,
/// so the news stays. An answer of an epoch that the cluster has left behind comes from a node that was cut off: it is
/// refused, unless nobody says anything newer any more (a cluster that was set up anew counts from the beginning).
struct ClusterTopology {
    /// Marks the moment at which an answer was asked for.
    struct Mark: Equatable {
        fileprivate var news: Int
    }

    enum ApplyAction: Equatable {
        /// The nodes that are masters no longer.
        case apply(gone: [RedisAddress])
        /// The node that answered is behind, or has no cluster; ask another.
        case refuse
    }

    private(set) var map = SlotMap()
    /// Whether anything is known.
    private(set) var isKnown = false
    private var epoch: Int64 = 0
    private var refusals = 0
    private var news = 0
    private var moved: [Int: (node: RedisAddress, news: Int)] = [:]

    /// As many answers of an older epoch in a row are a cluster that was set up anew.
    private static let refusalLimit = 5

    var masters: [RedisAddress] { map.nodes }

    func mark() -> Mark { Mark(news: news) }

    mutating func apply(_ answer: ClusterAnswer, askedAt mark: Mark) -> ApplyAction {
        // A node that isn't in a cluster, or was forgotten by it, knows of no slots.
        guard answer.map.served > 0 else { return .refuse }
        if isKnown, answer.epoch < epoch || !answer.isOK {
            refusals += 1
            guard refusals >= Self.refusalLimit else { return .refuse }
        }
        refusals = 0
        epoch = answer.epoch
        var next = answer.map
        moved = moved.filter { $0.value.news > mark.news }
        for (slot, entry) in moved { next.give(slot...slot, to: entry.node) }
        let gone = map.nodes.filter { !next.nodes.contains($0) }
        map = next
        isKnown = true
        return .apply(gone: gone)
    }

    /// A server said MOVED.
    mutating func move(_ slot: Int, to node: RedisAddress) {
        guard 0..<KeySlot.count ~= slot, map[slot] != node else { return }
        news += 1
        moved[slot] = (node, news)
        map.give(slot...slot, to: node)
    }

    /// Standalone: this one is the master.
    mutating func settle(on node: RedisAddress) -> [RedisAddress] {
        let gone = map.nodes.filter { $0 != node }
        if map.nodes != [node] { map = SlotMap(all: node) }
        isKnown = true
        return gone
    }

    /// Whom to ask next, best first: masters, for they know failovers first, then where the client began.
    func sources(
        seeds: [RedisAddress], using generator: inout some RandomNumberGenerator
    ) -> [RedisAddress] {
        let known = map.nodes.shuffled(using: &generator)
        return known + seeds.shuffled(using: &generator).filter { !known.contains($0) }
    }
}

/// What MOVED and ASK say.
struct Redirection: Equatable {
    enum Kind: Equatable {
        /// From now on.
        case moved
        /// Once.
        case ask
    }

    var kind: Kind
    var slot: Int
    var node: RedisAddress

    /// - Parameter asked: the node that answered; its host stands in for an empty one.
    /// - Returns: nil where the error is not a redirection.
    init?(_ error: String, asked: RedisAddress) {
        let words = error.split(separator: " ")
        guard words.count >= 3, let slot = Int(words[1]), 0..<KeySlot.count ~= slot,
            var node = RedisAddress(String(words[2]))
        else { return nil }
        switch words[0] {
        case "MOVED": kind = .moved
        case "ASK": kind = .ask
        default: return nil
        }
        if node.host.isEmpty || node.host == "?" { node.host = asked.host }
        self.slot = slot
        self.node = node
    }
}

/// What a pool's workers say of its load, and what of that is worth a write.

/// The answer of `GET /load`.
struct PoolLoad: Decodable, Sendable, Equatable {
    var activeSessions: Int
    var pods: [PodLoad]

    struct PodLoad: Decodable, Sendable, Equatable {
        var name: String
        var activeSessions: Int
        /// It takes no new turns and gives its sessions to the others.
        var isDraining: Bool

        private enum CodingKeys: String, CodingKey {
            case name, activeSessions
            case isDraining = "draining"
        }

        init(name: String, activeSessions: Int, isDraining: Bool = false) {
            self.name = name
            self.activeSessions = activeSessions
            self.isDraining = isDraining
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            name = try container.decode(String.self, forKey: .name)
            activeSessions = try container.decode(Int.self, forKey: .activeSessions)
            // Workers of an older version don't say so.
            isDraining = try container.decodeIfPresent(Bool.self, forKey: .isDraining) ?? false
        }
    }

    /// The pods that a cost may tell apart. Those that drain are not ready, and such pods go first whatever they cost.
    var staying: [PodLoad] { pods.filter { !$0.isDraining } }

    private enum CodingKeys: String, CodingKey { case activeSessions, pods }

    init(activeSessions: Int, pods: [PodLoad] = []) {
        self.activeSessions = activeSessions
        self.pods = pods
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        activeSessions = max(0, try container.decode(Int.self, forKey: .activeSessions))
        pods = try container.decodeIfPresent([PodLoad].self, forKey: .pods) ?? []
    }
}

/// The number of sessions that a pool's status shows: near the true one, and not written anew for each that comes or goes.
struct SessionCount: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// Between two changes; only the first session and the last are shown at once.
    static let pause: Duration = .seconds(60)

    /// Nil before the first answer.
    private(set) var shown: Int?
    private var changedAt: Instant?

    init(shown: Int? = nil) {
        self.shown = shown
    }

    /// - Returns: Whether `shown` has changed.
    mutating func observe(_ count: Int, _ now: Instant) -> Bool {
        guard let shown else {
            change(to: count, now)
            return true
        }
        guard count != shown else { return false }
        let isFirstOrLast = count == 0 || shown == 0
        let isFar = abs(count - shown) * 10 > shown
        let isSoon = changedAt.map { $0.duration(to: now) < Self.pause } ?? false
        guard isFirstOrLast || (isFar && !isSoon) else { return false }
        change(to: count, now)
        return true
    }

    private mutating func change(to count: Int, _ now: Instant) {
        shown = count
        changedAt = now
    }
}

/// Which pods a Deployment that shrinks should give up first: those with the fewest live sessions.
enum DeletionCost {
    static let annotation = "controller.kubernetes.io/pod-deletion-cost"

    /// Grows with the sessions, in steps of doubling, so that it is rarely written.
    static func of(_ sessions: Int) -> Int {
        sessions <= 0 ? 0 : Int.bitWidth - sessions.leadingZeroBitCount
    }

    /// Whether some pod's cost is another than the one that was found or written last: then the pods are worth a look.
    static func differs(_ load: PoolLoad, from costs: [String: Int]) -> Bool {
        let staying = load.staying
        return staying.count > 1 && staying.contains { costs[$0.name] != of($0.activeSessions) }
    }

    /// The pods whose cost is to be written, and what it is.
    ///
    /// - Parameter known: The cost that each of the pool's own pods carries; 0 where it carries none.
    static func changes(_ load: PoolLoad, known: [String: Int]) -> [String: Int] {
        guard known.count > 1 else { return [:] }
        var changes: [String: Int] = [:]
        for pod in load.staying {
            let cost = of(pod.activeSessions)
            if let before = known[pod.name], before != cost { changes[pod.name] = cost }
        }
        return changes
    }
}

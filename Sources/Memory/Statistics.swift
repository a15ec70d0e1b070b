/// What the memory counts and how it reports its health: plain numbers, for whoever shows them.

/// Counted since the process began, but for the gauges.
public struct MemoryStatistics: Hashable, Sendable {
    /// Gauge: sessions in L1.
    public var sessions = 0
    /// Gauge: bytes that L1 accounts for.
    public var bytes = 0
    /// Gauge: sessions with a turn within `idleTTL`.
    public var activeSessions = 0
    /// Gauge: turns that wait for their session.
    public var waiting = 0
    /// Sessions opened from L1.
    public var hits = 0
    /// Sessions opened from L2.
    public var loads = 0
    /// Sessions opened that no tier knew.
    public var created = 0
    /// Sessions that left L1 for their age or for room.
    public var evictions = 0
    /// Turns refused because too many waited.
    public var refused = 0
    public var commits = 0
    /// Commits of a turn id that was stored already.
    public var duplicateCommits = 0
    /// Commits that found another writer's turn and were appended after it.
    public var staleCommits = 0
    /// Commits refused because the session had been forgotten.
    public var forgottenCommits = 0
    /// Commits that failed or stayed unconfirmed.
    public var failedCommits = 0
    public var recalls = 0
    /// Recalls whose index part came from L1.
    public var recallHits = 0
    /// Recalls whose index part another worker had left in L2.
    public var recallSharedHits = 0
    public var skippedEmbeddings = 0
    public var skippedIndex = 0
    public var skippedFragments = 0
    /// Batches archived by this process.
    public var archived = 0
    /// Attempts to archive that failed and will be made again.
    public var archiveRetries = 0
    /// Gauge, as of the last maintenance or health report: batches waiting to be archived.
    public var plansPending = 0
    /// Gauge, as of the last maintenance or health report: batches that failed for good.
    public var plansParked = 0
    /// Gauge, as of the last maintenance or health report: sessions being forgotten.
    public var forgetsPending = 0
    /// Sessions deleted after their time.
    public var expired = 0
    /// Who finds memories by their words; nil: not known yet.
    public var textSearch: TextSearch?

    public init() {}
}

/// Whether the tiers answer, and what waits.
public struct MemoryHealth: Hashable, Sendable {
    public enum Store: Hashable, Sendable {
        case ok
        case failing(String)
    }

    /// L2: without it no turn can be taken.
    public var checkpoints: Store
    /// L3: without it recall is poorer and archiving waits.
    public var index: Store
    public var plansPending: Int
    public var forgetsPending: Int
    public var plansParked: Int
    /// Why batches failed for good, by batch id; the first few.
    public var parked: [String: String]
    /// What L2 can't promise as it is set up, each with the mend.
    public var warnings: [String]

    public init(
        checkpoints: Store, index: Store, plansPending: Int = 0, forgetsPending: Int = 0,
        plansParked: Int = 0, parked: [String: String] = [:], warnings: [String] = []
    ) {
        self.warnings = warnings
        self.checkpoints = checkpoints
        self.index = index
        self.plansPending = plansPending
        self.forgetsPending = forgetsPending
        self.plansParked = plansParked
        self.parked = parked
    }
}

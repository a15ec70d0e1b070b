/// The numbers that bound the memory: how much is kept where, for how long, and how long each answer may take.
public struct MemoryConfiguration: Sendable, Hashable {
    /// Turns a batch: the commit that makes so many un-archived turns writes the plan to archive them.
    public var bufferRounds: Int
    /// Bytes that sessions may take in this process (L1).
    public var maxSessionBytes: Int
    /// A session unused for so long leaves L1.
    public var idleTTL: Duration
    /// A session's checkpoint lives so long after its last turn.
    public var checkpointTTL: Duration
    /// A commit unconfirmed for so long fails; the same turn may be sent again.
    public var commitDeadline: Duration
    /// A load of a session or its history fails after so long.
    public var loadDeadline: Duration
    public var recall: RecallSettings
    /// Archived turns beyond this many leave a session's history, oldest first.
    public var historyLimit: Int
    /// Turns that may wait for a session's running turn; one more is refused.
    public var maxWaitersPerSession: Int
    /// Fragments are archived so long before their checkpoint expires.
    public var sweepMargin: Duration
    /// Whoever archives a batch has so long for it; after that anybody may take it over.
    public var claimDuration: Duration
    /// A write to the index, or an embedding of summaries, fails after so long.
    public var indexDeadline: Duration
    /// Batches, fragments and forgotten sessions that one pass of maintenance takes on, each.
    public var maintenanceLimit: Int

    public init(
        bufferRounds: Int = 10, maxSessionBytes: Int = 512 << 20, idleTTL: Duration = .seconds(15 * 60),
        checkpointTTL: Duration = .seconds(168 * 3600), commitDeadline: Duration = .seconds(15),
        loadDeadline: Duration = .seconds(5), recall: RecallSettings = .init(),
        historyLimit: Int = 10_000, maxWaitersPerSession: Int = 16,
        sweepMargin: Duration = .seconds(3600), claimDuration: Duration = .seconds(300),
        indexDeadline: Duration = .seconds(30), maintenanceLimit: Int = 32
    ) {
        self.bufferRounds = bufferRounds
        self.maxSessionBytes = maxSessionBytes
        self.idleTTL = idleTTL
        self.checkpointTTL = checkpointTTL
        self.commitDeadline = commitDeadline
        self.loadDeadline = loadDeadline
        self.recall = recall
        self.historyLimit = historyLimit
        self.maxWaitersPerSession = maxWaitersPerSession
        self.sweepMargin = sweepMargin
        self.claimDuration = claimDuration
        self.indexDeadline = indexDeadline
        self.maintenanceLimit = maintenanceLimit
    }
}

extension MemoryConfiguration {
    /// How L2 keeps a session. A checkpoint with a short time is swept in its second half: else a look that comes before its end
    /// would always be late, and the next one would come by the margin's time.
    public var policy: BufferPolicy {
        BufferPolicy(
            rounds: bufferRounds, historyLimit: historyLimit, checkpointTTL: checkpointTTL.milliseconds,
            sweepMargin: min(sweepMargin, checkpointTTL / 2).milliseconds)
    }
}

/// How much a recall looks at, and how long it may take.
public struct RecallSettings: Sendable, Hashable {
    /// Memories in an answer, at most.
    public var topK: Int
    /// Cosine similarity that a memory needs where its words do not match the query's.
    public var minScore: Double
    /// For the index, and for the fragments beside it.
    public var deadline: Duration
    /// For the query's embedding; after it the index is asked by words alone.
    public var embeddingDeadline: Duration
    /// Sessions whose un-archived turns are searched, most recent first.
    public var maxFragmentSessions: Int
    /// Un-archived turns searched in all.
    public var maxFragmentTurns: Int
    /// Answers of the index kept in L1.
    public var cacheEntries: Int

    public init(
        topK: Int = 6, minScore: Double = 0.35, deadline: Duration = .milliseconds(80),
        embeddingDeadline: Duration = .milliseconds(150), maxFragmentSessions: Int = 16,
        maxFragmentTurns: Int = 128, cacheEntries: Int = 512
    ) {
        self.topK = topK
        self.minScore = minScore
        self.deadline = deadline
        self.embeddingDeadline = embeddingDeadline
        self.maxFragmentSessions = maxFragmentSessions
        self.maxFragmentTurns = maxFragmentTurns
        self.cacheEntries = cacheEntries
    }
}

extension Duration {
    /// Whole milliseconds, rounded down.
    var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}

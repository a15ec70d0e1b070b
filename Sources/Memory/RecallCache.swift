/// What the index answered lately, kept in L1 until something of the principal is archived or forgotten.
struct RecallCache {
    struct Key: Hashable {
        var principal: Digest128
        var query: Digest128

        init(_ query: RecallQuery, limit: Int) {
            principal = query.scope.principal
            self.query = Digest128(parts: [query.text, String(limit)])
        }

        /// Of the query and the vector space, for answers that outlive a configuration.
        func shared(in space: EmbeddingSpace) -> Digest128 {
            Digest128(parts: ["recall", query.description, space.model, String(space.dimension)])
        }
    }

    /// What a recall found on a server, to be kept in L2 too.
    struct Unshared {
        var key: Key
        var found: IndexFindings
        /// The principal's archive generation when the index was asked, and when that was.
        var generation: Int64
        var askedAt: Int64
    }

    struct Entry {
        /// The principal's archive generation when the index was asked.
        var generation: Int64
        var found: IndexFindings
    }

    private var entries: BoundedCache<Key, Entry>
    private var generations: BoundedCache<Digest128, Int64>
    /// The last one of each principal.
    private var unshared = BoundedCache<Digest128, Unshared>(limit: 256)

    init(limit: Int) {
        entries = BoundedCache(limit: limit)
        generations = BoundedCache(limit: limit)
    }

    mutating func entry(_ key: Key) -> Entry? { entries.value(for: key) }

    /// The generation that the principal had when it was last looked at.
    mutating func generation(of principal: Digest128) -> Int64? { generations.value(for: principal) }

    /// Keeps an answer if the principal's generation was the same before the index was asked and after: then nothing was
    /// archived in between that the answer might lack.
    mutating func keep(
        _ found: IndexFindings, for key: Key, of principal: Digest128, before: Int64?, after: Int64
    ) {
        generations.insert(after, for: principal)
        if before == after, found.isWhole {
            entries.insert(Entry(generation: after, found: found), for: key)
        }
    }

    /// Takes what another worker has found.
    mutating func take(_ found: IndexFindings, for key: Key, generation: Int64) {
        generations.insert(generation, for: key.principal)
        entries.insert(Entry(generation: generation, found: found), for: key)
    }

    mutating func toShare(_ recall: Unshared) {
        unshared.insert(recall, for: recall.key.principal)
    }

    /// What is to be kept in L2 of the principal's last recall; once.
    mutating func takeUnshared(_ principal: Digest128) -> Unshared? {
        defer { unshared.remove(principal) }
        return unshared.value(for: principal)
    }

    mutating func forget(_ principal: Digest128) {
        generations.remove(principal)
        unshared.remove(principal)
    }
}

/// What one asking of the index brought.
struct IndexFindings: Sendable {
    var hits: [IndexHit] = []
    var statistics: TermStatistics?
    /// False where the index was asked by words alone.
    var byVector = false
    var skipped: [Recall.Stage] = []
    /// No server was asked for them.
    var isLocal = true

    var isWhole: Bool { skipped.isEmpty }
}

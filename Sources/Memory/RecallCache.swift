/// What the index answered lately, kept in L1 until something of the principal is archived or forgotten.
struct RecallCache {
    struct Key: Hashable {
        var principal: Digest128
        var query: Digest128

        init(_ query: RecallQuery, limit: Int) {
            principal = query.scope.principal
            self.query = Digest128(parts: [query.text, String(limit)])
        }
    }

    struct Entry {
        /// The principal's archive generation when the index was asked.
        var generation: Int64
        var found: IndexFindings
    }

    private var entries: BoundedCache<Key, Entry>
    private var generations: BoundedCache<Digest128, Int64>

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

    mutating func forget(_ principal: Digest128) {
        generations.remove(principal)
    }
}

/// What one asking of the index brought.
struct IndexFindings: Sendable {
    var hits: [IndexHit] = []
    var statistics: TermStatistics?
    /// False where the index was asked by words alone.
    var byVector = false
    var skipped: [Recall.Stage] = []

    var isWhole: Bool { skipped.isEmpty }
}

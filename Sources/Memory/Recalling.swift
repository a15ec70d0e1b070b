/// Finds what a principal's memories say to a query: fragments and the query's vector side by side, then the index, each
/// within its time.

extension SessionMemory {
    /// Characters of a query that are embedded and searched for.
    private static var queryCharacters: Int { 4000 }

    /// Never fails: a stage that is late or broken is skipped, counted and named, and the others' results stand. Takes the
    /// longer of `embeddingDeadline` and `deadline`, and `deadline` once more, at most.
    public func recall(_ query: RecallQuery) async -> Recall {
        let query = RecallQuery(
            scope: query.scope, text: String(query.text.prefix(Self.queryCharacters)), topK: query.topK,
            contextStart: query.contextStart)
        guard query.text.contains(where: { !$0.isWhitespace }) else { return Recall() }
        let topK = query.topK ?? configuration.recall.topK
        let terms = Tokenizer.queryTerms(query.text)
        let key = RecallCache.Key(query, limit: topK)
        let (known, before) = recallCache.withLock { cache in
            (cache.entry(key), cache.generation(of: query.scope.principal))
        }

        // The fragments bring the archive generation, which says what L1 still holds of the index.
        async let pending = fragments(query, key)
        async let early = known == nil ? embedding(query.text) : nil
        let (fragments, shared) = await pending ?? (nil, nil)
        if let known, fragments?.archiveGeneration == known.generation {
            return answer(query, terms, topK: topK, known.found, fragments, from: .l1)
        }
        if let shared, let fragments {
            recallCache.withLock { $0.take(shared, for: key, generation: fragments.archiveGeneration) }
            return answer(query, terms, topK: topK, shared, fragments, from: .l2)
        }
        let askedAt = now()
        var vector = await early
        if known != nil { vector = await embedding(query.text) }
        let findings = await searchIndex(
            query, terms, topK: topK, vector: vector, generation: fragments?.archiveGeneration)
        if let fragments {
            recallCache.withLock { cache in
                cache.keep(
                    findings, for: key, of: query.scope.principal, before: before,
                    after: fragments.archiveGeneration)
                guard !findings.isLocal, findings.isWhole, !findings.hits.isEmpty else { return }
                cache.toShare(
                    .init(
                        key: key, found: findings, generation: fragments.archiveGeneration, askedAt: askedAt))
            }
        }
        return answer(query, terms, topK: topK, findings, fragments, from: .l3)
    }

    /// Brings the principal's memories into L1 for the recalls to come, and what the last one found on a server into L2. For after
    /// a turn: nothing waits for it, and nothing fails with it.
    public func warm(_ scope: Scope) async {
        if let recall = recallCache.withLock({ $0.takeUnshared(scope.principal) }) {
            await share(recall, scope)
        }
        guard let generation = recallCache.withLock({ $0.generation(of: scope.principal) }) else {
            return
        }
        do {
            try await withDeadline(configuration.indexDeadline) { [index] in
                try await index.warm(scope, generation: generation)
            }
        } catch {
            logger.debug("memories not brought into L1", metadata: ["error": "\(error)"])
        }
    }

    private func share(_ recall: RecallCache.Unshared, _ scope: Scope) async {
        do {
            let found = try RecallCoding.encode(recall.found)
            try await withDeadline(configuration.loadDeadline) { [checkpoints, embedder] in
                try await checkpoints.keepRecalled(
                    found, for: recall.key.shared(in: embedder.space), scope, generation: recall.generation,
                    now: recall.askedAt)
            }
        } catch {
            logger.debug("what a recall found is not kept in L2", metadata: ["error": "\(error)"])
        }
    }

    private func answer(
        _ query: RecallQuery, _ terms: [String], topK: Int, _ found: IndexFindings,
        _ fragments: Fragments?,
        from tier: RecallTier
    ) -> Recall {
        let inPrompt = { (session: Digest128, turn: Int) in
            guard let start = query.contextStart else { return false }
            return session == query.scope.session && turn >= start
        }
        let hits = found.hits.filter { hit in
            let kept = fragments?.forgetting[hit.row.scope.session] ?? .min
            return hit.row.generation >= kept && !inPrompt(hit.row.scope.session, hit.row.firstTurn)
        }
        let turns = (fragments?.turns ?? []).filter { !inPrompt($0.session, $0.stored.sequence) }
        let ranked =
            turns.isEmpty
            ? []
            : FragmentRanking.rank(turns, terms: terms, statistics: found.statistics)
        let fusion = RecallFusion(
            minScore: configuration.recall.minScore, topK: topK, byVector: found.byVector)
        let memories = fusion.merge(hits, ranked)
        let skipped = found.skipped + (fragments == nil ? [.fragments] : [])
        count(skipped, from: tier)
        return Recall(memories: memories, skipped: skipped, cached: tier != .l3)
    }

    private func count(_ skipped: [Recall.Stage], from tier: RecallTier) {
        state.withLock { state in
            state.counters.recalls += 1
            state.counters.recallHits += tier == .l1 ? 1 : 0
            state.counters.recallSharedHits += tier == .l2 ? 1 : 0
            for stage in skipped {
                switch stage {
                case .embedding: state.counters.skippedEmbeddings += 1
                case .index: state.counters.skippedIndex += 1
                case .fragments: state.counters.skippedFragments += 1
                }
            }
        }
    }

    /// With what L2 has kept of the same question's answer. Nil where L2 was late or failed.
    private func fragments(_ query: RecallQuery, _ key: RecallCache.Key) async -> (
        Fragments?, IndexFindings?
    )? {
        let settings = configuration.recall
        let limit = FragmentLimit(
            sessions: settings.maxFragmentSessions, turns: settings.maxFragmentTurns,
            ownTurnsBefore: query.contextStart ?? .max)
        do {
            let (fragments, recalled) = try await withDeadline(settings.deadline) {
                [checkpoints, embedder] in
                try await checkpoints.fragments(
                    query.scope, limit: limit, recalling: key.shared(in: embedder.space))
            }
            return (fragments, recalled.flatMap { RecallCoding.decode($0, query.scope) })
        } catch {
            report(.fragments, error)
            return nil
        }
    }

    /// Nil where the embedding is late or fails.
    private func embedding(_ text: String) async -> [Float]? {
        do {
            return try await withDeadline(configuration.recall.embeddingDeadline) { [embedder] in
                try await embedder.embed([text]).first
            }
        } catch {
            report(.embedding, error)
            return nil
        }
    }

    /// By vector and words; by words alone where there is no vector.
    private func searchIndex(
        _ query: RecallQuery, _ terms: [String], topK: Int, vector: [Float]?, generation: Int64?
    ) async -> IndexFindings {
        var found = IndexFindings()
        if vector == nil { found.skipped.append(.embedding) }
        do {
            let asked = IndexQuery(
                vector: vector, text: query.text, terms: terms, limit: max(12, 2 * topK),
                generation: generation)
            let answer = try await withDeadline(configuration.recall.deadline) { [index] in
                try await index.search(query.scope, asked)
            }
            found.byVector = vector != nil
            found.isLocal = answer.isLocal
            found.statistics = answer.statistics
            found.hits = shortened(
                answer.hits, terms: terms, keeping: 2 * topK, byVector: found.byVector)
        } catch {
            report(.index, error)
            found.skipped.append(.index)
        }
        return found
    }

    /// The rows that may get into the answer, with the passage that fits the query in place of their whole text.
    private func shortened(_ hits: [IndexHit], terms: [String], keeping count: Int, byVector: Bool)
        -> [IndexHit]
    {
        let fusion = RecallFusion(minScore: configuration.recall.minScore, topK: count, byVector: byVector)
        var passages = PassageFinder(terms: terms)
        var best = fusion.best(hits)
        for index in best.indices { best[index].row.text = passages.best(of: best[index].row.text) }
        return best
    }

    private func report(_ stage: Recall.Stage, _ error: any Error) {
        guard !Task.isCancelled else { return }
        logger.debug(
            "recall goes on without a stage",
            metadata: [
                "stage": "\(stage.rawValue)", "error": "\(error is DeadlineExceeded ? "late" : "\(error)")",
            ])
    }
}

/// Where the index's part of a recall came from.
private enum RecallTier {
    case l1, l2, l3
}

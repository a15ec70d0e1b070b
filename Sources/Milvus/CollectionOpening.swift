// Opens a collection: makes it or checks the one that is there, indexes it, and has the server load it.
import MilvusProtocol

extension MilvusClient {
    /// Creates the collection, or validates the one that is there; then indexes and loads it.
    ///
    /// Several workers may open the same new collection at once; what one finds done is not done again. Throws `mismatch`
    /// where the collection belongs to another model, dimension or schema, and says what to do.
    public func open(_ collection: MemoryCollection) async throws(MilvusError) -> MilvusCollection {
        if let fault = collection.fault { throw failure(.mismatch, "open", fault) }
        let traits = ServerTraits(version: try await version())
        let found: Wire.Description
        if let there = try await describe(collection.name) {
            found = there
        } else {
            found = try await create(collection, traits)
        }
        let searchesText: Bool
        switch collection.match(found) {
        case .same(let answer): searchesText = answer
        case .other(let reason):
            throw failure(.mismatch, "open", "the collection \(collection.name) can't be used: \(reason)")
        }
        try await index(collection, .vector)
        if searchesText { try await index(collection, .words) }
        try await load(collection.name)
        return MilvusCollection(client: self, collection: collection, searchesText: searchesText)
    }

    private func create(
        _ collection: MemoryCollection, _ traits: ServerTraits
    ) async throws(MilvusError) -> Wire.Description {
        var refusal: MilvusError?
        // A server may refuse the text search that its version should have; the memory works without.
        for searchesText in traits.searchesText ? [true, false] : [false] {
            let request: Wire.Create
            do {
                request = try collection.creation(
                    searchesText: searchesText, keepsDescription: traits.keepsDescription)
            } catch {
                throw failure(.unsupported, "CreateCollection", "the schema can't be encoded")
            }
            var looks = 1
            do {
                _ = try await call(.create, request, within: configuration.writeDeadline)
            } catch {
                guard case .rejected = error.kind else { throw error }
                refusal = refusal ?? error
                // milvus-lite refuses the second creator before what the first one makes can be seen.
                looks = 10
            }
            // Whether we made it, or somebody else was faster, shows in what is there now.
            for look in 1...looks {
                if let found = try await describe(collection.name) { return found }
                if look < looks { try await pause(.milliseconds(100), "CreateCollection") }
            }
        }
        throw refusal ?? failure(.unavailable, "CreateCollection", "the collection was dropped at once")
    }

    /// Nil where there is no such collection.
    func describe(_ name: String) async throws(MilvusError) -> Wire.Description? {
        var request = Wire.Describe()
        request.collectionName = name
        do {
            return try await call(.describe, request, within: configuration.readDeadline)
        } catch {
            switch error.kind {
            case .rejected(Failure.Code.collectionNotFound), .rejected(Failure.Code.legacyCollectionNotFound):
                return nil
            default: throw error
            }
        }
    }

    private func index(_ collection: MemoryCollection, _ field: MemoryCollection.Field)
        async throws(MilvusError)
    {
        if try await isIndexed(collection, field) { return }
        var refusal: MilvusError?
        for request in collection.indexes(of: field) {
            do {
                _ = try await call(.createIndex, request, within: configuration.writeDeadline)
                return
            } catch {
                guard case .rejected = error.kind else { throw error }
                refusal = refusal ?? error
            }
            // Another worker was faster: one server refuses the second time, the other doesn't.
            if try await isIndexed(collection, field) { return }
        }
        if let refusal { throw refusal }
    }

    private func isIndexed(
        _ collection: MemoryCollection, _ field: MemoryCollection.Field
    ) async throws(MilvusError) -> Bool {
        var request = Wire.DescribeIndex()
        request.collectionName = collection.name
        request.fieldName = field.rawValue
        do {
            let reply = try await call(.describeIndex, request, within: configuration.readDeadline)
            return reply.indexDescriptions.contains { $0.fieldName == field.rawValue }
        } catch {
            // Having none is a refusal too, whose code differs between versions; what is really wrong, CreateIndex tells.
            guard case .rejected = error.kind else { throw error }
            return false
        }
    }

    /// Returns when the collection answers searches. Passes at once where it is loaded.
    func load(_ name: String) async throws(MilvusError) {
        let end = ContinuousClock.now + configuration.loadDeadline
        var request = Wire.Load()
        request.collectionName = name
        request.replicaNumber = 1
        _ = try await call(.load, request, within: configuration.loadDeadline)
        var question = Wire.LoadState()
        question.collectionName = name
        var pause = Duration.milliseconds(20)
        while ContinuousClock.now < end {
            switch try await call(.loadState, question, within: configuration.readDeadline).state {
            case .loaded: return
            case .notExist:
                throw failure(
                    .rejected(Failure.Code.collectionNotFound), "LoadCollection",
                    "the collection is not there")
            case .notLoad, .loading, .UNRECOGNIZED: break
            }
            try await self.pause(pause, "LoadCollection")
            pause = min(pause * 2, .milliseconds(500))
        }
        throw failure(.deadline, "LoadCollection", "the collection was not loaded in time")
    }

    private func pause(_ duration: Duration, _ operation: String) async throws(MilvusError) {
        do {
            try await Task.sleep(for: duration)
        } catch {
            throw failure(.cancelled, operation, "the task was cancelled")
        }
    }
}

/// Opens the collection of L3, again and again until the server lets it, and deletes what is past its time.
import Logging
import Milvus
import Synchronization

/// Why L3 does not answer yet.
struct IndexNotOpen: Error, CustomStringConvertible {
    var reason: String
    var description: String { "the collection is not open yet: \(reason)" }
}

final class MilvusOpening: Sendable {
    /// Between two tries, and between two looks for rows past their time.
    private static let pauses: ClosedRange<Duration> = .seconds(1)...(.seconds(30))
    private static let retentionInterval: Duration = .seconds(3600)

    private enum State {
        case closed(reason: String)
        case open(MilvusCollection)
    }

    private let client: MilvusClient
    private let wanted: MemoryCollection
    private let logger: Logger
    private let state = Mutex(State.closed(reason: "nobody has asked the server"))

    init(client: MilvusClient, collection: MemoryCollection, logger: Logger) {
        self.client = client
        wanted = collection
        self.logger = logger
    }

    var current: MilvusCollection? {
        state.withLock { state in
            if case .open(let collection) = state { collection } else { nil }
        }
    }

    func collection() throws -> MilvusCollection {
        try state.withLock { state in
            switch state {
            case .open(let collection): return collection
            case .closed(let reason): throw IndexNotOpen(reason: reason)
            }
        }
    }

    func run(retention: Duration, now: @Sendable () -> Int64) async {
        guard let collection = await open() else { return }
        repeat {
            do throws(MilvusError) {
                try await collection.deleteOlder(than: now() - retention.milliseconds)
            } catch {
                logger.warning("memories past their time not deleted yet", metadata: ["error": "\(error)"])
            }
            // Only cancellation ends a pause, and with it the loop.
        } while (try? await Task.sleep(for: Self.retentionInterval)) != nil
    }

    /// Nil where it was cancelled before.
    private func open() async -> MilvusCollection? {
        var pause = Self.pauses.lowerBound
        while !Task.isCancelled {
            do throws(MilvusError) {
                let collection = try await client.open(wanted)
                state.withLock { $0 = .open(collection) }
                logger.info(
                    "collection open",
                    metadata: [
                        "collection": "\(wanted.name)",
                        "textSearch": collection.searchesText ? "BM25 on the server" : "lexical rerank here",
                    ])
                return collection
            } catch {
                state.withLock { $0 = .closed(reason: "\(error)") }
                logger.log(
                    level: error.kind == .mismatch ? .error : .warning, "collection not open yet",
                    metadata: ["collection": "\(wanted.name)", "error": "\(error)"])
            }
            // Only cancellation ends a pause.
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.pauses.upperBound)
        }
        return nil
    }
}

/// What this worker knows of the pool's others, kept up to date: it reports each second, and reads what they report.
import Logging
import Memory
import PoolAPI
import Synchronization

final class Peers: Sendable {
    static let pause: Duration = .seconds(1)

    let live: RedisLive
    private let directory: Mutex<PeerDirectory>
    private let isWithdrawn = Atomic(false)
    private let logger: Logger

    init(live: RedisLive, logger: Logger) {
        self.live = live
        self.logger = logger
        directory = Mutex(PeerDirectory(own: live.worker))
    }

    var own: String { live.worker }
    var key: [UInt8] { directory.withLock(\.key) }

    /// The names of the workers to which a turn may be relayed.
    var serving: [String] { directory.withLock { $0.servingNames(.now) } }

    func lease(of worker: String) -> PeerDirectory.Lease { directory.withLock { $0.lease(of: worker, .now) } }
    func address(of worker: String) -> String? { directory.withLock { $0.address(of: worker, .now) } }
    func load() -> [WorkerReport]? { directory.withLock { $0.load(.now) } }

    /// Some workers that could take a turn in this one's place, those with the fewest turns first.
    func substitutes() -> [String] {
        directory.withLock { $0.serving(.now) }
            .sorted { $0.runningTurns + $0.pendingRequests < $1.runningTurns + $1.pendingRequests }
            .prefix(3).map(\.worker)
    }

    /// Reports until cancelled.
    func run(_ report: @Sendable () -> WorkerReport) async {
        repeat {
            await exchange(report())
            // Only cancellation ends a pause, and with it the loop.
        } while (try? await Task.sleep(for: Self.pause)) != nil
    }

    func exchange(_ report: WorkerReport) async {
        guard !isWithdrawn.load(ordering: .relaxed) else { return }
        let asked = ContinuousClock.now
        do {
            let reports = try await live.exchange(report)
            directory.withLock { $0.observe(reports, asked: asked) }
        } catch {
            logger.debug("no word from the pool's workers", metadata: ["error": "\(error)"])
        }
    }

    /// Whoever looks at this worker's sessions may have them from now on.
    func withdraw() async {
        isWithdrawn.store(true, ordering: .relaxed)
        do { try await live.withdraw() } catch {
            logger.debug("the report was not taken back; it ends by itself", metadata: ["error": "\(error)"])
        }
    }
}

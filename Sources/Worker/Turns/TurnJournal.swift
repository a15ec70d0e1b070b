/// Writes behind, to L2, whose sessions are live here and what their turns tell: no turn waits for it.
import Logging
import Memory
import NIOCore
import Synchronization

/// Without a shared L2 it keeps nothing: then nobody else could go on with a turn.
final class TurnJournal: Sendable {
    /// What a turn tells between its begin and its end is written so often.
    static let round: Duration = .milliseconds(250)

    private let live: RedisLive?
    private let logger: Logger
    /// For so long a worker is a session's owner.
    private let ownership: Duration
    /// A session is taken anew when a third of the time is over for which a worker is its owner.
    private let renewal: Duration
    private let queue = Mutex(JournalQueue())
    private let taken = Mutex(TakenSessions())
    private let wakes: (stream: AsyncStream<Void>, wake: AsyncStream<Void>.Continuation)

    init(live: RedisLive?, ownership: Duration, logger: Logger) {
        self.live = live
        self.logger = logger
        self.ownership = ownership
        renewal = ownership / 3
        let (stream, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        wakes = (stream, wake)
    }

    /// A turn that is cut off here can go on elsewhere.
    var isShared: Bool { live != nil }

    /// What a commit must be refused without: this worker has the session, after the owner whom it has seen.
    func ownership(after seen: String?) -> SessionOwnership? {
        live == nil ? nil : SessionOwnership(seen: seen, length: ownership)
    }

    /// Whose the session is; nil also where L2 doesn't answer, for then nothing can be left to its owner.
    func session(_ scope: Scope) async -> LiveSession? { try? await live?.session(scope) }

    /// The session is live here: a turn runs in it, or somebody follows it.
    ///
    /// - Parameter seen: the owner before, who does not serve it any more.
    func claim(_ scope: Scope, from seen: String?) {
        guard live != nil, taken.withLock({ $0.isDue(scope.session, every: renewal, .now) }) else { return }
        add(.take(from: seen, turn: nil), of: scope)
    }

    /// A turn begins that a client may come back for.
    func begin(_ turn: JournalQueue.TurnStart, of scope: Scope, from seen: String?) {
        guard live != nil else { return }
        taken.withLock { $0.note(scope.session, .now) }
        add(.take(from: seen, turn: turn), of: scope)
    }

    /// The same for a turn that others may be about to begin too: asked for at once.
    ///
    /// - Returns: whose the session is, where it is another's.
    func take(_ turn: JournalQueue.TurnStart?, of scope: Scope, from seen: String?) async -> String? {
        guard let live else { return nil }
        // Where L2 doesn't answer the turn's commit will settle it.
        let owner = try? await live.take(
            scope, from: seen, turn: turn.map { ($0.id, $0.attempt, $0.request) })
        guard let owner, owner != live.worker else {
            taken.withLock { $0.note(scope.session, .now) }
            return nil
        }
        return owner
    }

    func add(_ events: [EncodedEvent], of scope: Scope, isLast: Bool) {
        guard live != nil, let id = events.first?.id else { return }
        var bytes: [UInt8] = []
        for event in events { bytes += event.bytes.readableBytesView }
        add(.events(bytes, turn: id.turn, attempt: id.attempt, hasEnded: isLast), of: scope)
    }

    /// Another worker has written to the session: it is not this one's any more.
    func lost(_ session: Digest128) { taken.withLock { $0.remove(session) } }

    private func add(_ write: JournalQueue.Write, of scope: Scope) {
        if queue.withLock({ $0.add(write, of: scope) }) { wakes.wake.yield() }
    }

    /// Writes until it is cancelled.
    func run() async {
        guard live != nil else { return }
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                await withDiscardingTaskGroup { writes in
                    for await _ in self.wakes.stream { self.start(urgentOnly: true, in: &writes) }
                }
            }
            tasks.addTask {
                await withDiscardingTaskGroup { writes in
                    // Only cancellation ends a pause, and with it the loop.
                    while (try? await Task.sleep(for: Self.round)) != nil {
                        self.start(urgentOnly: false, in: &writes)
                    }
                }
            }
        }
    }

    /// Returns when all is written that waits, or the time is over.
    func flush(within limit: Duration) async {
        let deadline = ContinuousClock.now + limit
        while !queue.withLock(\.isEmpty), .now < deadline {
            await withDiscardingTaskGroup { self.start(urgentOnly: false, in: &$0) }
            // Cancelled, it is asked for without a pause until the deadline: others' writes end by themselves.
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    private func start(urgentOnly: Bool, in group: inout DiscardingTaskGroup) {
        for (scope, write) in queue.withLock({ $0.due(urgentOnly: urgentOnly, now: .now) }) {
            group.addTask { await self.carryOut(write, scope) }
        }
    }

    private func carryOut(_ write: JournalQueue.Write, _ scope: Scope) async {
        guard let live else { return }
        do {
            switch write {
            case .take(let seen, let turn):
                let owner = try await live.take(
                    scope, from: seen, turn: turn.map { ($0.id, $0.attempt, $0.request) })
                if owner != live.worker { lost(scope.session) }
            case .events(let bytes, let turn, let attempt, let hasEnded):
                _ = try await live.add(bytes, to: turn, attempt: attempt, of: scope, hasEnded: hasEnded)
            }
            if queue.withLock({ $0.written(scope.session) }) { wakes.wake.yield() }
        } catch {
            logger.debug("a turn's events are not in L2 yet", metadata: ["error": "\(error)"])
            queue.withLock { $0.failed(scope.session, write, now: .now) }
        }
    }
}

/// When sessions were last taken, so that not every turn says it again. Bounded: one that is forgotten is taken once more.
private struct TakenSessions: Sendable {
    private static let limit = 1 << 16

    private var young: [Digest128: ContinuousClock.Instant] = [:]
    private var old: [Digest128: ContinuousClock.Instant] = [:]

    mutating func isDue(_ session: Digest128, every renewal: Duration, _ now: ContinuousClock.Instant) -> Bool
    {
        if let at = young[session] ?? old[session], at.duration(to: now) < renewal { return false }
        note(session, now)
        return true
    }

    mutating func note(_ session: Digest128, _ now: ContinuousClock.Instant) {
        if young.count >= Self.limit { (old, young) = (young, [:]) }
        young[session] = now
    }

    mutating func remove(_ session: Digest128) {
        young[session] = nil
        old[session] = nil
    }
}

/// Decides which of a pool's workers are there, from what L2 last had of their reports: whom to relay to, whose lease has ended, how
/// loaded the pool is. Pure.
import Memory

struct PeerDirectory: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// A worker that has reported nothing for so long is gone, and so is its lease on every session.
    static let patience: Duration = .seconds(5)
    /// How long an answer of L2 is believed; the next one is due after a second.
    static let belief: Duration = .milliseconds(2500)
    /// What a live worker needs to report again once L2 is back.
    static let settling: Duration = .milliseconds(1500)

    /// Of this process.
    let own: String
    private var entries: [PoolReports.Entry] = []
    private var readAt: Instant?
    /// L2 had not answered for a while: until then its reports are old because nobody could report.
    private var settledAt: Instant?
    private(set) var key: [UInt8] = []
    /// The other workers that take new turns, as of the last answer: asked for with every turn.
    private var servingNames: [String] = []

    init(own: String) {
        self.own = own
    }

    /// - Parameter asked: when L2 was asked, so that no answer is taken for younger than it is.
    mutating func observe(_ reports: PoolReports, asked: Instant) {
        if let readAt, readAt.duration(to: asked) >= Self.belief { settledAt = asked + Self.settling }
        entries = reports.entries.filter { $0.age < Self.patience }
        key = reports.key
        readAt = asked
        servingNames = serving(asked).map(\.worker)
    }

    /// The names of the workers that a session may be left to.
    func servingNames(_ now: Instant) -> [String] { isCurrent(now) ? servingNames : [] }

    /// L2 has answered lately, and could be told; without that nobody is known to be there, nor to be gone.
    func isCurrent(_ now: Instant) -> Bool {
        guard let readAt, readAt.duration(to: now) < Self.belief else { return false }
        return settledAt.map { $0 <= now } ?? true
    }

    /// What is known of a worker's lease.
    enum Lease: Sendable, Equatable {
        case alive
        case ended
        /// L2 has not answered for a while.
        case unknown
    }

    func lease(of worker: String, _ now: Instant) -> Lease {
        guard isCurrent(now) else { return .unknown }
        return entries.contains { $0.report.worker == worker } ? .alive : .ended
    }

    /// Where a worker that is there can be reached.
    func address(of worker: String, _ now: Instant) -> String? {
        live(now).first { $0.report.worker == worker }?.report.address
    }

    /// The other workers that take new turns.
    func serving(_ now: Instant) -> [WorkerReport] {
        live(now).map(\.report).filter { $0.worker != own && !$0.isDraining && $0.address != nil }
    }

    /// The reports of all workers that are there, by their pods' names; nil where that is not known.
    func load(_ now: Instant) -> [WorkerReport]? {
        guard isCurrent(now) else { return nil }
        return live(now).map(\.report).sorted { ($0.pod, $0.worker) < ($1.pod, $1.worker) }
    }

    private func live(_ now: Instant) -> [PoolReports.Entry] { isCurrent(now) ? entries : [] }
}

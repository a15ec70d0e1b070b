/// Counts what reconciles came to, and writes the metrics page under the names that dashboards of controllers know.
import Kubernetes
import PoolAPI
import Synchronization

final class ControllerMetrics: Sendable {
    enum Result: String, Sendable, CaseIterable {
        case success
        case error
        /// Something stands in the way; looked at again with growing delays.
        case requeue
        case requeueAfter = "requeue_after"
    }

    private struct Counts: Sendable {
        var results: [Result: Int] = [:]
        var buckets = [Int](repeating: 0, count: bounds.count)
        var seconds = 0.0
    }

    private static let controller = "agentpool"
    private static let bounds = [
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    private let counts = Mutex(Counts())
    private let leading = Atomic(false)

    func reconciled(_ result: Result, _ duration: Duration) {
        let seconds = duration / .seconds(1)
        counts.withLock { counts in
            counts.results[result, default: 0] += 1
            counts.seconds += seconds
            if let bucket = Self.bounds.firstIndex(where: { seconds <= $0 }) { counts.buckets[bucket] += 1 }
        }
    }

    func leads(_ isLeading: Bool) { leading.store(isLeading, ordering: .relaxed) }

    /// What the page shows beside the counts of reconciles.
    struct Around: Sendable {
        var queue: Dispatcher<PoolReference>.Snapshot
        var requests: [ClientMetrics.Key: Int]
        var pools: Int
        var rolling: Int
        var waitingRollouts: Int
        var polls: (answered: Int, failed: Int)
        var leaseName: String
    }

    func page(_ around: Around) -> String {
        let counts = counts.withLock { $0 }
        let label = [("controller", Self.controller)]
        var page = MetricsPage()
        page.family("controller_runtime_reconcile_total", "counter", "Reconciles, by result.")
        for result in Result.allCases {
            page.sample(label + [("result", result.rawValue)], counts.results[result] ?? 0)
        }
        page.family("controller_runtime_reconcile_errors_total", "counter", "Reconciles that failed.")
        page.sample(label, counts.results[.error] ?? 0)
        let total = counts.results.values.reduce(0, +)
        page.family("controller_runtime_reconcile_time_seconds", "histogram", "How long a reconcile took.")
        var running = 0
        for (bound, count) in zip(Self.bounds, counts.buckets) {
            running += count
            page.sample(label + [("le", "\(bound)")], running, suffix: "_bucket")
        }
        page.sample(label + [("le", "+Inf")], total, suffix: "_bucket")
        page.sample(label, counts.seconds, suffix: "_sum")
        page.sample(label, total, suffix: "_count")
        let queue = [("name", Self.controller)]
        page.family("workqueue_depth", "gauge", "Pools that wait for a worker.")
        page.sample(queue, around.queue.depth)
        page.family("workqueue_adds_total", "counter", "Pools put into the queue.")
        page.sample(queue, around.queue.adds)
        page.family("workqueue_retries_total", "counter", "Pools put back after a failure.")
        page.sample(queue, around.queue.retries)
        page.family("rest_client_requests_total", "counter", "Calls of the API server.")
        for (key, count) in around.requests.sorted(by: { $0.key < $1.key }) {
            page.sample([("code", key.code), ("method", key.method)], count)
        }
        page.family("leader_election_master_status", "gauge", "1 while this process leads.")
        page.sample([("name", around.leaseName)], leading.load(ordering: .relaxed) ? 1 : 0)
        page.family("agentpool_pools", "gauge", "AgentPools known.")
        page.sample([], around.pools)
        page.family("agentpool_rolling_pools", "gauge", "Pools with pods of two templates.")
        page.sample([], around.rolling)
        page.family(
            "agentpool_waiting_rollouts", "gauge", "Pools that wait for others to roll out a new operator.")
        page.sample([], around.waitingRollouts)
        page.family("agentpool_load_polls_total", "counter", "Questions for a pool's load.")
        page.sample([("result", "answered")], around.polls.answered)
        page.sample([("result", "failed")], around.polls.failed)
        return page.text
    }
}

/// Prometheus's text format (version 0.0.4); labels here hold nothing that would have to be escaped.
private struct MetricsPage {
    private(set) var text = ""
    private var name = ""

    mutating func family(_ name: String, _ type: String, _ help: String) {
        self.name = name
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ labels: [(String, String)], _ value: some Numeric, suffix: String = "") {
        text += name + suffix
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0)=\"\($1)\"" }.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }
}

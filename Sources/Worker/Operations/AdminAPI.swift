/// The admin port: probes, metrics, load and, from this machine alone, the drain.
import Agent
import Memory
import NIOHTTP1
import PoolAPI
import Synchronization

struct AdminAPI: Sendable {
    /// An event loop that has not come round for so long is stuck.
    static let stuckAfter: Duration = .seconds(15)

    let podName: String
    let memory: SessionMemory
    let admission: Admission
    let feeds: SessionFeeds
    let metrics: TurnMetrics
    let redaction: Redaction
    let readiness: SharedReadiness
    let drain: Drain
    let listener: HTTPListener
    /// Nil for a worker that shares its memory with no other.
    let peers: Peers?
    let relays: RelayMetrics
    /// Where other workers reach this one.
    let peerAddress: String?

    func handle(_ request: ServerRequest) async {
        let path = request.head.uri.prefix { $0 != "?" }
        let exchange = request.exchange
        switch (request.head.method, path) {
        case (.GET, "/livez"):
            exchange.respond(Self.liveness(listener))
        case (.GET, "/startupz"):
            exchange.respond(Self.status(.ok, "ok"))
        case (.GET, "/readyz"):
            exchange.respond(ready())
        case (.GET, "/metrics"):
            exchange.respond(Response(.ok, type: Self.metricsType, body: Array(metricsPage().utf8)))
        case (.GET, "/load"):
            exchange.respond(load())
        case (.POST, "/drain"):
            guard request.isFromLoopback else {
                exchange.respond(
                    APIError(
                        .forbidden, type: "permission_error", code: "loopback_only",
                        "A drain can only be asked for from the pod itself: run `agentpool drain` in it."
                    ).response)
                return
            }
            drain.requested.set()
            await drain.completed.wait()
            exchange.respond(
                drain.hasCut
                    ? Self.status(
                        .gatewayTimeout, "cut", ["some turns had not ended when drain.timeout was over"])
                    : Self.status(.ok, "drained"))
        default:
            exchange.respond(Self.unknown)
        }
    }

    static let metricsType = "text/plain; version=0.0.4; charset=utf-8"

    static var unknown: Response {
        APIError(.notFound, code: "unknown_url", "There is nothing at this path of the admin port.").response
    }

    static func liveness(_ listener: HTTPListener) -> Response {
        let stuck = listener.slowestPulse >= stuckAfter
        return status(stuck ? .serviceUnavailable : .ok, stuck ? "stuck" : "ok")
    }

    static func status(_ status: HTTPResponseStatus, _ word: String, _ reasons: [String] = []) -> Response {
        var json = JSONWriter()
        json.beginObject()
        json.field("status", word)
        if !reasons.isEmpty {
            json.key("reasons")
            json.beginArray()
            for reason in reasons { json.string(reason) }
            json.endArray()
        }
        json.endObject()
        return Response(status, body: json.bytes)
    }

    /// Stays ready while a drain only delays: the pod's endpoint says itself that it is terminating.
    private func ready() -> Response {
        if drain.phase >= .finishing { return Self.status(.serviceUnavailable, "draining") }
        switch readiness.current.status {
        case .starting: return Self.status(.serviceUnavailable, "starting")
        case .ready: return Self.status(.ok, "ok")
        case .degraded(let reasons): return Self.status(.ok, "degraded", reasons)
        case .unavailable(let reason): return Self.status(.serviceUnavailable, "unavailable", [reason])
        }
    }

    /// What this worker tells of itself.
    func report() -> WorkerReport {
        let counts = admission.counts
        return WorkerReport(
            worker: peers?.own ?? podName, pod: podName, address: peerAddress,
            activeSessions: memory.statistics().activeSessions, runningTurns: counts.running,
            pendingRequests: counts.queued, isDraining: drain.phase > .serving)
    }

    /// The load signal that autoscalers read: of the whole pool, whichever worker is asked. Without a shared store the pool is this
    /// pod. Where the store doesn't answer nobody knows, which must not look like few.
    private func load() -> Response {
        let own = report()
        var all = [own]
        if let peers {
            guard let known = peers.load() else {
                return APIError(
                    .serviceUnavailable, type: "server_error", code: "load_unknown",
                    "The session store does not tell what the pool's other workers do.", retryAfter: 1
                ).response
            }
            // Of this one, as it is now.
            all = known.filter { $0.worker != own.worker } + [own]
            all.sort { ($0.pod, $0.worker) < ($1.pod, $1.worker) }
        }
        func numbers(_ reports: [WorkerReport], into json: inout JSONWriter) {
            json.field("activeSessions", reports.reduce(0) { $0 + $1.activeSessions })
            json.field("runningTurns", reports.reduce(0) { $0 + $1.runningTurns })
            json.field("pendingRequests", reports.reduce(0) { $0 + $1.pendingRequests })
        }
        var json = JSONWriter()
        json.beginObject()
        numbers(all, into: &json)
        json.key("pods")
        json.beginArray()
        for report in all {
            json.beginObject()
            json.field("name", report.pod)
            numbers([report], into: &json)
            json.field("draining", report.isDraining)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return Response(.ok, body: json.bytes)
    }

    private func metricsPage() -> String {
        let turns = metrics.snapshot
        let memory = memory.statistics()
        let counts = admission.counts
        var page = PrometheusText()
        page.counters("agentpool_turns_total", "Turns committed, by ending.", by: "ending", turns.turns)
        page.counters(
            "agentpool_tool_calls_total", "Calls of tools, by what came of them.", by: "outcome",
            turns.toolCalls)
        page.counters(
            "agentpool_turn_failures_total", "Turns that ended in an error.", by: "code", turns.failures)
        page.counters(
            "agentpool_guard_suspicions_total", "Texts in prompts that bear marks of a prompt injection.",
            by: "source", turns.suspicions)
        page.counters(
            "agentpool_guard_unmoderated_total", "Turns on which the moderation gave no verdict.",
            by: "action", turns.unmoderated)
        page.counters(
            "agentpool_guard_redactions_total", "What was cut out of texts, by rule.", by: "rule",
            redaction.counts)
        page.counter("agentpool_turns_replayed_total", "Turns answered from the history.", turns.replays)
        page.counter("agentpool_turns_concurrent_total", "Turns appended beside another's.", turns.concurrent)
        page.counter("agentpool_prompt_tokens_total", "Tokens sent to models.", turns.promptTokens)
        page.counter("agentpool_completion_tokens_total", "Tokens made by models.", turns.completionTokens)
        page.counters(
            "agentpool_requests_refused_total", "Requests answered with an error.", by: "status",
            Dictionary(uniqueKeysWithValues: turns.refused.map { ("\($0.key)", $0.value) }))
        page.histogram(
            "agentpool_first_token_seconds", "From a turn's start to its first token.", turns.firstToken)
        page.histogram("agentpool_turn_seconds", "From a turn's start to its commit.", turns.duration)
        page.histogram("agentpool_recall_seconds", "How long turns waited for recall.", turns.recall)
        page.histograms(
            "agentpool_workflow_step_seconds", "How long the workflow's nodes took.",
            turns.steps.sorted { $0.key.name < $1.key.name }.map { node, histogram in
                ([("step", node.name), ("kind", node.kind)], histogram)
            })
        page.gauge("agentpool_running_turns", "Turns running now.", counts.running)
        page.gauge("agentpool_pending_requests", "Turns queued now.", counts.queued)
        page.counter(
            "agentpool_turns_refused_total", "Turns refused because the queue was full.", counts.refused)
        page.gauge("agentpool_connections", "Open connections of the public port.", listener.openConnections)
        page.counter(
            "agentpool_connections_refused_total", "Connections closed because of the limit.",
            listener.refusedConnections)
        page.counter(
            "agentpool_requests_relayed_total", "Requests handed to the worker that has their session.",
            relays.snapshot.relayed)
        page.counter(
            "agentpool_relays_failed_total", "Requests whose other worker was not reached, or was lost.",
            relays.snapshot.failed)
        page.gauge("agentpool_event_streams", "Long-lived event streams.", feeds.subscriberCount)
        page.gauge("agentpool_ready", "1 while this worker is ready.", readiness.current.isReady ? 1 : 0)
        page.memory(memory)
        return page.text
    }
}

extension PrometheusText {
    fileprivate mutating func memory(_ s: MemoryStatistics) {
        gauge("agentpool_l1_sessions", "Sessions in L1.", s.sessions)
        gauge("agentpool_l1_bytes", "Bytes that L1 accounts for.", s.bytes)
        gauge("agentpool_active_sessions", "Sessions with a turn within idleTTL.", s.activeSessions)
        gauge("agentpool_waiting_turns", "Turns that wait for their session.", s.waiting)
        counters(
            "agentpool_sessions_opened_total", "Sessions opened, by the tier that had them.", by: "tier",
            ["l1": s.hits, "l2": s.loads, "new": s.created])
        counter("agentpool_l1_evictions_total", "Sessions that left L1.", s.evictions)
        counter("agentpool_commits_total", "Turns committed to L2.", s.commits)
        counter(
            "agentpool_duplicate_commits_total", "Commits of a turn id already stored.", s.duplicateCommits)
        counter("agentpool_stale_commits_total", "Commits merged after another writer's.", s.staleCommits)
        counter("agentpool_forgotten_commits_total", "Commits refused by a tombstone.", s.forgottenCommits)
        counter("agentpool_failed_commits_total", "Commits failed or unconfirmed.", s.failedCommits)
        counter("agentpool_recalls_total", "Recalls asked for.", s.recalls)
        counter("agentpool_recall_l1_hits_total", "Recalls whose index part came from L1.", s.recallHits)
        counter(
            "agentpool_recall_l2_hits_total", "Recalls whose index part another worker had left in L2.",
            s.recallSharedHits)
        counters(
            "agentpool_recall_skips_total", "Recall stages left out for their deadline or a failure.",
            by: "stage",
            ["embedding": s.skippedEmbeddings, "index": s.skippedIndex, "fragments": s.skippedFragments])
        counter("agentpool_batches_archived_total", "Batches archived to L3.", s.archived)
        counter("agentpool_archive_retries_total", "Attempts to archive that failed.", s.archiveRetries)
        gauges(
            "agentpool_text_search",
            "1 for whoever finds memories by their words: the store, or a rerank here.",
            by: "by",
            Dictionary(
                uniqueKeysWithValues: TextSearch.allCases.map { ($0.rawValue, s.textSearch == $0 ? 1 : 0) }))
        gauge("agentpool_plans_pending", "Batches waiting to be archived.", s.plansPending)
        gauge("agentpool_plans_parked", "Batches that failed for good.", s.plansParked)
        gauge("agentpool_forgets_pending", "Sessions being forgotten.", s.forgetsPending)
        counter("agentpool_sessions_expired_total", "Sessions deleted after their time.", s.expired)
    }
}

/// The latest readiness, between the loop that observes the stores and the probe that asks.
final class SharedReadiness: Sendable {
    private let value = Mutex(Readiness())

    var current: Readiness { value.withLock { $0 } }
    func observe(_ health: MemoryHealth, after uptime: Duration) {
        value.withLock { $0.observe(health, after: uptime) }
    }
}

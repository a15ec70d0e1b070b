/// Writes Events about pools: each once, and a repeated one as a series of the first.
import Kubernetes
import Logging
import PoolAPI
import Synchronization

/// Sends Events, as far as the API server takes them: nothing depends on one, so no failure goes further than the log.
final class EventRecorder: Sendable {
    /// A repetition sooner than this is not written.
    private static let pause: Duration = .seconds(300)
    /// Events whose repetitions are counted.
    private static let remembered = 1_024
    /// The most bytes that the API takes of a note.
    private static let mostNoteBytes = 1_024

    private struct Sent: Sendable {
        var count: Int
        var at: ContinuousClock.Instant
    }

    private let client: KubernetesClient
    private let identity: String
    private let sent = Mutex<[String: Sent]>([:])
    private let logger: Logger

    init(client: KubernetesClient, identity: String, logger: Logger) {
        self.client = client
        self.identity = identity
        self.logger = logger
    }

    func record(_ note: EventNote, _ pool: PoolReference, _ uid: ObjectUID, under leadership: Leadership)
        async
    {
        let digest = Fingerprint.of("\(uid.text)\n\(note.reason)\n\(note.text)".utf8)
        let name = "\(pool.name).\(HexText.of(digest))"
        guard let count = count("\(pool.namespace)/\(name)", .now) else { return }
        var body = content(note)
        body["metadata"] = ["name": .string(name), "namespace": .string(pool.namespace)]
        body["regarding"] = [
            "apiVersion": .string(AgentPool.apiVersion), "kind": .string(AgentPool.kind),
            "namespace": .string(pool.namespace), "name": .string(pool.name), "uid": .string(uid.text),
        ]
        do throws(APIError) {
            try await send(.create(.events, in: pool.namespace, body: body.bytes()), leadership)
        } catch {
            if error.isAlreadyExists {
                await repeated(name, pool.namespace, count, leadership)
            } else if error.isNamespaceTerminating {
                await recordOfNamespace(note, pool, name, leadership)
            } else {
                log(error, pool)
            }
        }
    }

    /// Nothing can be created in a namespace that goes, an Event no more than a Job; what is said of the namespace stands elsewhere.
    private func recordOfNamespace(
        _ note: EventNote, _ pool: PoolReference, _ name: String, _ leadership: Leadership
    ) async {
        var about = note
        about.text = "AgentPool \(pool.name): \(note.text)"
        var body = content(about)
        body["metadata"] = ["name": .string(name), "namespace": "default"]
        body["regarding"] = ["apiVersion": "v1", "kind": "Namespace", "name": .string(pool.namespace)]
        do throws(APIError) {
            try await send(.create(.events, in: "default", body: body.bytes()), leadership)
        } catch {
            log(error, pool)
        }
    }

    private func repeated(_ name: String, _ namespace: String, _ count: Int, _ leadership: Leadership) async {
        let patch: JSONValue = [
            "series": [
                "count": .integer(max(2, count)), "lastObservedTime": .string(Timestamp.now.inMicroseconds),
            ]
        ]
        do throws(APIError) {
            try await send(
                .mergePatch(.events, name, in: namespace, patch: patch.bytes()), leadership)
        } catch {
            log(error, PoolReference(namespace: namespace, name: name))
        }
    }

    private func send(_ request: APIRequest, _ leadership: Leadership) async throws(APIError) {
        var request = request
        // A slow answer about an Event must not hold up what it is about.
        request.timeout = .seconds(5)
        _ = try await client.bytes(request, under: leadership)
    }

    private func content(_ note: EventNote) -> JSONValue {
        var text = note.text
        while text.utf8.count > Self.mostNoteBytes { text.removeLast() }
        return [
            "apiVersion": .string(ResourceKind.events.apiVersion), "kind": "Event",
            "eventTime": .string(Timestamp.now.inMicroseconds), "type": .string(note.kind.rawValue),
            "reason": .string(note.reason), "action": "Reconcile", "note": .string(text),
            "reportingController": "agentpool.dev/controller",
            "reportingInstance": .string(String(identity.prefix(128))),
        ]
    }

    /// How often the Event has been sent with this one, or nil where it was sent a moment ago.
    private func count(_ key: String, _ now: ContinuousClock.Instant) -> Int? {
        sent.withLock { sent in
            let known = sent[key]
            if let known, known.at.duration(to: now) < Self.pause { return nil }
            if known == nil, sent.count >= Self.remembered,
                let oldest = sent.min(by: { $0.value.at < $1.value.at })?.key
            {
                sent[oldest] = nil
            }
            let count = (known?.count ?? 0) + 1
            sent[key] = Sent(count: count, at: now)
            return count
        }
    }

    private func log(_ error: APIError, _ pool: PoolReference) {
        if error.isNotLeading || error.isCancelled { return }
        logger.info("an Event could not be written", metadata: ["pool": "\(pool)", "error": "\(error)"])
    }
}

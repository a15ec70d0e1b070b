/// Live sessions and the workers' reports on Redis: what a pool needs to serve a session in one place and to go on in another.
import Foundation
import Redis

/// Safe to use from any task. Nothing here is waited for by replicas: what is lost with a master is learned anew within a
/// second, or a turn is run again.
public struct RedisLive: Sendable {
    let store: RedisCheckpoints
    let policy: LivePolicy

    init(_ store: RedisCheckpoints, policy: LivePolicy) {
        self.store = store
        self.policy = policy
    }

    /// How this process names itself to the pool's other workers.
    public var worker: String { String(decoding: store.elsewhere.worker.bytes, as: UTF8.self) }

    /// Makes this worker the session's owner, unless it is somebody's whom the caller has not seen.
    ///
    /// - Parameters:
    ///   - seen: the owner before, who is known to be gone or about to go.
    ///   - turn: the turn that begins, with what it was asked with; nil: none that a client may come back for.
    /// - Returns: the owner's name after it.
    @discardableResult
    public func take(
        _ scope: Scope, from seen: String?, turn: (id: TurnID, attempt: Int, request: [UInt8])?
    ) async throws -> String {
        let answer = try await evaluate(
            .takeSession, scope,
            [
                store.elsewhere.worker, RedisArgument(seen ?? ""), RedisArgument(policy.ownership),
                RedisArgument(turn?.id.value ?? ""), RedisArgument(turn?.attempt ?? 0),
                RedisArgument(turn?.request ?? []),
            ])
        guard let owner = answer.string else { throw RedisReplyShape(script: RedisScript.takeSession.name) }
        return owner
    }

    /// Adds whole events to those of a running turn.
    ///
    /// - Parameter hasEnded: the last one is among them.
    /// - Returns: false where the turn is not the session's latest any more; then nothing was kept.
    public func add(
        _ events: [UInt8], to turn: TurnID, attempt: Int, of scope: Scope, hasEnded: Bool
    ) async throws -> Bool {
        try await evaluate(
            .addEvents, scope,
            [
                store.elsewhere.worker, RedisArgument(turn.value), RedisArgument(attempt),
                RedisArgument(events),
                hasEnded ? "1" : "", RedisArgument(policy.maxEventBytes), RedisArgument(policy.retention),
                RedisArgument(policy.ownership),
            ]
        ).int == 1
    }

    /// What is kept of a session's latest turn; a session that nobody has had lately has no owner and no events.
    public func turn(of scope: Scope) async throws -> LiveTurnLog {
        let answer = try await evaluate(.liveTurn, scope, ["events"])
        guard let values = answer.array, values.count >= 5 else {
            throw RedisReplyShape(script: RedisScript.liveTurn.name)
        }
        var reply = try RedisReply(.array(Array(values[0..<4])), of: .liveTurn)
        let session = try reply.liveSession()
        let request = values[4].bytes ?? []
        return LiveTurnLog(
            session: session, request: request.isEmpty ? nil : request,
            events: values[5...].compactMap(\.bytes))
    }

    /// Who has the session, and which turn began last.
    public func session(_ scope: Scope) async throws -> LiveSession {
        var reply = try RedisReply(try await evaluate(.liveTurn, scope, []), of: .liveTurn)
        return try reply.liveSession()
    }

    /// Tells the pool how this worker fares, and asks how the others do.
    ///
    /// - Parameter deadline: an answer that comes later says little of the others.
    public func exchange(
        _ own: WorkerReport, deadline: Duration = .seconds(2)
    ) async throws -> PoolReports {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        var generator = SystemRandomNumberGenerator()
        let candidate = (0..<4).map { _ in String(generator.next() as UInt64, radix: 36) }.joined()
        let answer = try await store.client.evaluate(
            .report, keys: [store.keyspace.reports],
            arguments: [
                store.elsewhere.worker, RedisArgument(try encoder.encode(own)), RedisArgument(candidate),
            ], isIdempotent: true, deadline: deadline)
        var reply = try RedisReply(answer, of: .report)
        var reports = PoolReports(entries: [], key: Array(try reply.text().utf8))
        let decoder = JSONDecoder()
        while !reply.isAtEnd {
            let age = Duration.milliseconds(try reply.number(Int64.self))
            // One of a newer version that reads otherwise is none that this worker could talk to.
            if let report = try? decoder.decode(WorkerReport.self, from: Data(try reply.text().utf8)) {
                reports.entries.append(PoolReports.Entry(report: report, age: age))
            }
        }
        return reports
    }

    /// Takes this worker's report back: whoever looks at its sessions may have them from now on.
    public func withdraw() async throws {
        _ = try await store.client.send(
            RedisCommand(
                "HDEL", [store.keyspace.reports, store.elsewhere.worker], key: store.keyspace.reports,
                isIdempotent: true))
    }

    private func evaluate(
        _ script: RedisScript, _ scope: Scope, _ arguments: [RedisArgument]
    ) async throws -> RedisValue {
        try await store.client.evaluate(
            script, keys: store.keyspace.keys(scope).live, arguments: arguments,
            // Run twice it may keep events twice; their ids tell.
            isIdempotent: script.name != RedisScript.addEvents.name)
    }
}

extension RedisCheckpoints {
    /// What the workers that share this store tell each other.
    public func live(_ policy: LivePolicy) -> RedisLive { RedisLive(self, policy: policy) }
}

extension RedisReply {
    /// Owner, turn, attempt and ending.
    mutating func liveSession() throws -> LiveSession {
        let owner = try text()
        let turn = TurnID(try text())
        let attempt = try number(Int.self)
        return LiveSession(
            owner: owner.isEmpty ? nil : owner, turn: turn, attempt: attempt, hasEnded: try text() == "1")
    }
}

/// The work index: when somebody has to look at which session. Written before the step it speaks of.
///
/// A session stands in it as long as it has keys: until its fragment is due, or until a plan's worker has had its time. A later commit
/// only moves the end of its time, so whoever looks too early says when to look again.
import Redis
import Synchronization

extension RedisCheckpoints {
    /// Before a commit that begins a session or writes a plan: somebody looks soon, and finds what the commit did, or nothing.
    ///
    /// - Returns: nil where nobody need look.
    @discardableResult
    func schedule(_ request: CommitRequest) async throws -> RedisEntry? {
        let known = request.known
        let writesPlan =
            request.turn.ending.isOver
            && known.turnCount + 1 - known.plannedThrough >= request.policy.rounds
        guard writesPlan || known.turnCount == 0 else { return nil }
        let item = RedisWorkItem(request.scope)
        return try await enter(item.member, in: work(item), at: request.now + headStart)
    }

    /// As durable as the step it speaks of, and as patient while its node is down.
    @discardableResult
    func enter(_ member: RedisArgument, in index: RedisArgument, at time: Int64) async throws
        -> RedisEntry
    {
        let script = RedisScript.enter
        let (answer, replicas) = try await client.commit(
            script, keys: [index], arguments: [RedisArgument(time), member], isIdempotent: true,
            waitReplicas: waitReplicas, deadline: commitDeadline)
        guard replicas >= waitReplicas else {
            throw ReplicasMissing(script: script.name, confirmed: replicas, wanted: waitReplicas)
        }
        var reply = try RedisReply(answer, of: script)
        let entered = try reply.text()
        return RedisEntry(time: entered, before: Double(try reply.text()))
    }

    /// Whether a commit has made a session of which nothing was known, not even that it was forgotten once.
    func begins(_ request: CommitRequest, sequence: Int) -> Bool {
        request.known.turnCount == 0 && request.known.generation == 0 && sequence == 1
    }

    /// Whether somebody had seen the session's keys and was to look again later: then they should have been there. One that was to
    /// be looked at soon may be that of a first commit which never arrived.
    func mustHaveExisted(_ entry: RedisEntry?) -> Bool {
        entry?.before.map { $0 > Double(now() + headStart) } ?? false
    }

    public func planDueFragments(now: Int64, limit: Int) async throws -> Int {
        try await attend(now: now, limit: limit).reduce(0) { $0 + $1.plansWritten }
    }

    public func pendingPlans(now: Int64, limit: Int) async throws -> [ArchivePlan] {
        try await attend(now: now, limit: limit).compactMap(\.plan)
    }

    private struct Attended {
        var plansWritten: Int
        var plan: ArchivePlan?
    }

    /// Looks at the sessions whose time has come, and says for each when to look again.
    private func attend(now: Int64, limit: Int) async throws -> [Attended] {
        var attended: [Attended] = []
        for (item, score) in try await scheduled(until: now, limit: limit) {
            let scope = item.scope()
            let margin = RedisArgument(policy.sweepMargin)
            var reply = try RedisReply(
                try await write(.attend, scope, [RedisArgument(now), margin, RedisArgument(Self.grace)]),
                of: .attend)
            guard !reply.isAtEnd else {
                try await reschedule(item, from: score, to: 0)
                continue
            }
            let written = try reply.number(Int.self)
            let name = try reply.text()
            let again = try reply.number(Int64.self)
            var plan: ArchivePlan?
            if !reply.isAtEnd {
                let (first, last) = (try reply.number(Int.self), try reply.number(Int.self))
                let agent = try reply.text()
                let (generation, created) = (try reply.number(Int64.self), try reply.number(Int64.self))
                plan = ArchivePlan(
                    scope: item.scope(name: name),
                    agent: agent, first: first, last: last, generation: generation, createdAt: created)
            }
            try await reschedule(item, from: score, to: again)
            attended.append(Attended(plansWritten: written, plan: plan))
        }
        return attended
    }

    private func scheduled(until now: Int64, limit: Int) async throws -> [(RedisWorkItem, score: String)] {
        let found = try await parts(of: keyspace.work) { key in
            RedisCommand(
                "ZRANGE",
                [
                    key, "-inf", RedisArgument(now), "BYSCORE", "LIMIT", "0", RedisArgument(limit),
                    "WITHSCORES",
                ],
                key: key, isIdempotent: true)
        }
        var items: [(RedisWorkItem, score: String)] = []
        for part in found {
            let values = part.array ?? []
            for index in stride(from: 0, to: values.count - 1, by: 2) {
                guard let member = values[index].string, let item = RedisWorkItem(member: member),
                    let score = values[index + 1].string
                else { throw RedisReplyShape(script: "ZRANGE") }
                items.append((item, score))
            }
        }
        return Array(items.sorted { (Double($0.score) ?? 0) < (Double($1.score) ?? 0) }.prefix(limit))
    }

    func reschedule(_ item: RedisWorkItem, from score: String, to time: Int64) async throws {
        _ = try await client.evaluate(
            .reschedule, keys: [work(item)],
            arguments: [item.member, RedisArgument(score), RedisArgument(time)], isIdempotent: true)
    }

    func work(_ item: RedisWorkItem) -> RedisArgument {
        keyspace.work(keyspace.part(of: item.principal))
    }

    /// One command for each of the parts whose turn it is, side by side.
    func parts(
        of key: (Int) -> RedisArgument, _ command: (RedisArgument) -> RedisCommand
    ) async throws -> [RedisValue] {
        try await client.send(rotation.current.map { command(key($0)) }).map { try $0.get() }
    }
}

/// A session's place in an index after it was entered.
struct RedisEntry {
    /// As the index has it.
    var time: String
    /// When it was to be looked at before.
    var before: Double?
}

/// When the sessions of plans that commits of this process have written are to be looked at, so that it need not be asked for
/// where the process carries them out itself. Another may have moved it since; whoever uses it finds that out.
final class RedisOwnPlans: Sendable {
    private let times = Mutex(BoundedCache<String, String>(limit: 4096))

    func note(_ plan: ArchivePlan, _ entry: RedisEntry) {
        times.withLock { $0.insert(entry.time, for: plan.batchID) }
    }

    /// Once.
    func take(_ plan: ArchivePlan) -> String? {
        times.withLock { times in
            defer { times.remove(plan.batchID) }
            return times.value(for: plan.batchID)
        }
    }
}

/// Which parts of the indexes a pass of maintenance looks at. All workers make passes all the time: together they see every
/// part often, and none has to ask for all.
final class RedisRotation: Sendable {
    private let parts: Int
    private let width: Int
    private let pass: Atomic<Int>

    init(parts: Int) {
        self.parts = parts
        width = max(1, parts / 4)
        pass = Atomic(Int.random(in: 0..<parts))
    }

    var current: [Int] {
        let pass = pass.load(ordering: .relaxed)
        return (0..<width).map { (pass &* width &+ $0) % parts }
    }

    func advance() { pass.add(1, ordering: .relaxed) }
}

/// How often keys were missing that should have been there.
final class RedisLosses: Sendable {
    private let total = Atomic<Int>(0)

    var count: Int { total.load(ordering: .relaxed) }

    func note() { total.add(1, ordering: .relaxed) }
}

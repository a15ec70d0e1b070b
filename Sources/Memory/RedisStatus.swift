/// L2 on Redis: whether it answers, what it can't promise, and what waits in its indexes.
import Logging
import Redis
import Synchronization

extension RedisCheckpoints {
    /// Counts the parts whose turn it is, and remembers the others. Fails where their node takes no writes: a full one, or one
    /// without its replicas, still reads.
    public func status() async throws -> CheckpointStatus {
        let parts = rotation.current
        let soon = RedisArgument(now() + headStart)
        let commands = parts.flatMap { part -> [RedisCommand] in
            let (work, forgets, parked) = (keyspace.work(part), keyspace.forgets(part), keyspace.parked(part))
            let probe = keyspace.probe(part)
            return [
                RedisCommand("ZCOUNT", [work, "-inf", soon], key: work, isIdempotent: true),
                RedisCommand("ZCARD", [forgets], key: forgets, isIdempotent: true),
                RedisCommand("HLEN", [parked], key: parked, isIdempotent: true),
                RedisCommand("HSCAN", [parked, "0", "COUNT", "16"], key: parked, isIdempotent: true),
                RedisCommand(
                    "SET", [probe, RedisArgument(now()), "PX", RedisArgument(Self.grace)], key: probe,
                    isIdempotent: true),
            ]
        }
        let answers = try await client.send(commands).map { try $0.get() }
        for (index, part) in parts.enumerated() {
            let some = answers[index * 5..<index * 5 + 5].map { $0 }
            guard some[4].string == "OK" else { throw RedisReplyShape(script: "SET") }
            counts.note(
                .init(
                    plans: Int(some[0].int ?? 0), forgets: Int(some[1].int ?? 0),
                    parked: Int(some[2].int ?? 0),
                    reasons: Self.reasons(some[3])), of: part)
        }
        var status = counts.total
        status.warnings = durability.warnings
        if losses.count > 0 {
            status.warnings.append(
                "the keys of \(losses.count) sessions were gone before their time; "
                    + "set maxmemory-policy noeviction and look for who deletes keys")
        }
        return status
    }

    /// Keeps the connections, and looks at what the servers promise from time to time; must be running for the rest to work.
    /// Returns when it is cancelled.
    public func run() async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await client.run() }
            tasks.addTask { await watchDurability() }
            tasks.addTask { [elsewhere] in
                await client.listen(to: elsewhere.channel) { elsewhere.receive($0) }
            }
        }
    }

    private func watchDurability() async {
        var pause = Duration.seconds(1)
        repeat {
            // A server that doesn't answer is reported by whoever needs its answer; what it promises is asked when it does.
            let found = await client.durability(waitReplicas: waitReplicas)
            pause = found.contains { $0.code == "Unreachable" } ? .seconds(1) : .seconds(30)
            let problems = found.filter { $0.code != "Unreachable" }
                .map { "\($0.node): \($0.what); \($0.mend)" }.sorted()
            if durability.note(problems) {
                for problem in problems {
                    logger.warning(
                        "Redis can't keep what it acknowledges", metadata: ["problem": "\(problem)"])
                }
            }
            // Only cancellation ends a pause, and with it the loop.
        } while (try? await Task.sleep(for: pause)) != nil
    }

    private static func reasons(_ scan: RedisValue) -> [String: String] {
        let fields = scan.array?.last?.array ?? []
        return stride(from: 0, to: max(fields.count - 1, 0), by: 2).reduce(into: [:]) { reasons, index in
            if let batch = fields[index].string { reasons[batch] = fields[index + 1].string ?? "" }
        }
    }
}

/// What the servers could not promise when they were last looked at.
final class RedisDurability: Sendable {
    private let problems = Mutex<[String]>([])

    var warnings: [String] { problems.withLock { $0 } }

    /// True where it is news.
    func note(_ found: [String]) -> Bool {
        problems.withLock { problems in
            defer { problems = found }
            return problems != found
        }
    }
}

/// What was last counted in each part of the indexes.
final class RedisCounts: Sendable {
    struct Part: Sendable {
        var plans = 0
        var forgets = 0
        var parked = 0
        var reasons: [String: String] = [:]
    }

    private let parts: Mutex<[Part]>

    init(parts: Int) {
        self.parts = Mutex(Array(repeating: Part(), count: parts))
    }

    func note(_ counted: Part, of part: Int) {
        parts.withLock { $0[part] = counted }
    }

    var total: CheckpointStatus {
        parts.withLock { parts in
            var status = CheckpointStatus(plansPending: 0, plansParked: 0, forgetsPending: 0, parked: [:])
            for part in parts {
                status.plansPending += part.plans
                status.plansParked += part.parked
                status.forgetsPending += part.forgets
                for (batch, reason) in part.reasons where status.parked.count < 16 {
                    status.parked[batch] = reason
                }
            }
            return status
        }
    }
}

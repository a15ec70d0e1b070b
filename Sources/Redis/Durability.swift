/// Decides whether servers keep what they acknowledge, by what their INFO says.
import NIOCore

public struct RedisProblem: Sendable, Equatable {
    /// Host and port.
    public var node: String
    /// Stable, for conditions: `AppendOnlyFileOff`, `AppendOnlyFileFails`, `SnapshotFails`, `ReplicasMissing`,
    /// `EvictionEnabled`, `NotMaster`, `Unreachable`, `AnswerUnreadable`.
    public var code: String
    public var what: String
    /// What to do about it.
    public var mend: String
}

/// What of INFO matters for that.
struct NodeReport: Equatable {
    var role: String
    var appendOnly: Bool
    var appendOnlyWrites: Bool
    var snapshots: Bool
    var onlineReplicas: Int
    var maxMemory: Int
    var evictionPolicy: String

    /// nil where the text is not that of INFO.
    init?(_ info: String) {
        let report = InfoReport(info)
        guard let role = report["role"], let append = report["aof_enabled"] else { return nil }
        self.role = role
        appendOnly = append == "1"
        appendOnlyWrites =
            report["aof_last_write_status", default: "ok"] == "ok"
            && report["aof_last_bgrewrite_status", default: "ok"] == "ok"
        snapshots = report["rdb_last_bgsave_status", default: "ok"] == "ok"
        // slave0:ip=10.0.0.1,port=6379,state=online,offset=1,lag=0
        onlineReplicas = report.lines.count { name, value in
            name.hasPrefix("slave") && Int(name.dropFirst(5)) != nil
                && value.split(separator: ",").contains("state=online")
        }
        maxMemory = report["maxmemory"].flatMap { Int($0) } ?? 0
        evictionPolicy = report["maxmemory_policy"] ?? "noeviction"
    }
}

enum DurabilityRule {
    static func problems(_ report: NodeReport, node: String, waitReplicas: Int) -> [RedisProblem] {
        var problems: [RedisProblem] = []
        func add(_ code: String, _ what: String, _ mend: String) {
            problems.append(RedisProblem(node: node, code: code, what: what, mend: mend))
        }
        if report.role != "master" {
            add("NotMaster", "it is a replica", "name the master, or all its servers, in addresses")
        }
        if !report.appendOnly {
            add(
                "AppendOnlyFileOff", "a restart loses the writes since the last snapshot",
                "set appendonly yes (CONFIG SET appendonly yes, then CONFIG REWRITE)")
        } else if !report.appendOnlyWrites {
            add(
                "AppendOnlyFileFails", "the append-only file can't be written",
                "free or repair the server's disk; its log says why")
        }
        if !report.snapshots {
            add(
                "SnapshotFails", "the last snapshot failed, and Redis may refuse writes for that",
                "free or repair the server's disk, or allow overcommit of memory; its log says why")
        }
        if report.role == "master", report.onlineReplicas < waitReplicas {
            add(
                "ReplicasMissing",
                "\(report.onlineReplicas) of the \(waitReplicas) replicas that confirm a commit are online",
                "start or reconnect replicas, or lower waitReplicas")
        }
        if report.maxMemory > 0, report.evictionPolicy != "noeviction" {
            add(
                "EvictionEnabled", "when memory is full \(report.evictionPolicy) deletes sessions",
                "set maxmemory-policy noeviction")
        }
        return problems
    }
}

extension InfoReport {
    subscript(name: String, default value: String) -> String { self[name] ?? value }
}

extension RedisClient {
    /// Asks every master whether it keeps what it acknowledges.
    ///
    /// - Parameter waitReplicas: how many replicas commits wait for.
    /// - Returns: what is wrong, in the order of nodes; empty: nothing.
    public func durability(waitReplicas: Int) async -> [RedisProblem] {
        await waitForTopology(until: .now() + TimeAmount(configuration.commandDeadline))
        let (masters, isKnown) = state.withLock { ($0.topology.masters, $0.topology.isKnown) }
        guard isKnown, !masters.isEmpty else {
            return configuration.addresses.map { Self.unreachable($0) }
        }
        let found = await withTaskGroup(of: (Int, [RedisProblem]).self) { tasks in
            for (index, master) in masters.enumerated() {
                tasks.addTask { (index, await self.problems(of: master, waitReplicas)) }
            }
            return await tasks.reduce(into: []) { $0.append($1) }
        }
        return found.sorted { $0.0 < $1.0 }.flatMap(\.1)
    }

    private func problems(of master: RedisAddress, _ waitReplicas: Int) async -> [RedisProblem] {
        let answers = await ask(master, [["INFO"]], configuration.commandDeadline)
        guard case .reply(let value, _) = answers[0] else { return [Self.unreachable(master)] }
        guard let report = value.string.flatMap({ NodeReport($0) }) else {
            let why = value.errorCode.map { "INFO is refused with \($0)" } ?? "INFO is not readable"
            return [
                RedisProblem(
                    node: "\(master)", code: "AnswerUnreadable", what: why,
                    mend: "allow the user +info in its ACL")
            ]
        }
        return DurabilityRule.problems(report, node: "\(master)", waitReplicas: waitReplicas)
    }

    private static func unreachable(_ node: RedisAddress) -> RedisProblem {
        RedisProblem(
            node: "\(node)", code: "Unreachable", what: "it doesn't answer",
            mend: "look whether it runs and whether address, network policy, TLS and credentials are right")
    }
}

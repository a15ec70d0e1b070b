/// The client against a real cluster of six nodes: routing, migration, failover.
import Foundation
import Synchronization
import Testing

@testable import Redis

private final class Flag: Sendable {
    let isSet = Atomic<Bool>(false)
}

extension LiveTests {
    @Suite("A cluster", .serialized)
    struct ClusterTests {
        static let append = RedisScript(
            name: "append",
            source: "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) return redis.call('HLEN', KEYS[1])")

        func cluster<Value: Sendable>(
            _ change: (inout RedisConfiguration) -> Void = { _ in },
            _ body: @Sendable (RedisClient) async throws -> Value
        ) async throws -> Value {
            let servers = try await RedisServers.shared.cluster()
            return try await withClient(.cluster, servers.map(\.address), change, body)
        }

        @Test("keys find their nodes, alone and many in one call")
        func routes() async throws {
            try await cluster { client in
                let keys = (0..<300).map { RedisArgument("route-\($0)") }
                let sets = keys.map { RedisCommand("SET", [$0, $0], key: $0, isIdempotent: true) }
                for result in await client.send(sets) { #expect(try result.get() == .status("OK")) }
                for key in keys.prefix(30) { #expect(try await client.get(key).bytes == key.bytes) }
                let gets = keys.map { RedisCommand("GET", [$0], key: $0, isIdempotent: true) }
                #expect(try await client.send(gets).map { try $0.get().bytes } == keys.map(\.bytes))
                for key in StandaloneTests.nasty {
                    try await client.set(key, key)
                    #expect(try await client.get(key).bytes == key.bytes)
                }
                let statistics = client.statistics()
                #expect(statistics.nodes == 3 && statistics.redirects == 0, "\(statistics)")
            }
        }

        @Test("every key that begins so is handed on, whatever is in it, and no other")
        func scans() async throws {
            try await cluster { client in
                let prefix = "scan*[a]?\\:"
                let keys = Set((0..<900).map { RedisArgument("\(prefix)\($0)\0{\n\($0)}") })
                let others = (0..<50).map { RedisArgument("scanned[a]x\\:\($0)") }
                let sets = (keys + others).map {
                    RedisCommand("SET", [$0, "1"], key: $0, isIdempotent: true)
                }
                for result in await client.send(sets) { #expect(try result.get() == .status("OK")) }
                var found: Set<RedisArgument> = []
                var pages = 0
                try await client.scan(prefix: prefix, count: 50) { page in
                    pages += 1
                    found.formUnion(page)
                }
                #expect(found == keys && pages > 10)
                #expect(Set(keys.map(\.slot)).count > 500)
            }
        }

        @Test("keys of several slots in one script are refused with the reason, before anything is sent")
        func crossSlot() async throws {
            try await cluster { client in
                let error = await failure { () async throws(RedisError) in
                    try await client.evaluate(
                        Self.append, keys: ["a", "b"], arguments: [], isIdempotent: true)
                }
                #expect(error?.kind == .crossSlot && error?.mayHaveRun == false)
                #expect(error.map { "\($0)".contains("hash tag") } == true)
                let command = await failure { () async throws(RedisError) in
                    try await client.send(
                        RedisCommand("MSET", ["a", "1", "b", "2"], key: "a", isIdempotent: true))
                }
                #expect(command?.kind == .crossSlot && command?.code == "CROSSSLOT")
            }
        }

        @Test("a commit says how many replicas have it, and commits at one time share their WAIT")
        func commits() async throws {
            try await cluster { client in
                let before = try await waits()
                let most = try await withThrowingTaskGroup(of: Int.self) { group in
                    for index in 0..<200 {
                        group.addTask {
                            let (value, replicas) = try await client.commit(
                                Self.append, keys: ["{commit}"], arguments: [RedisArgument(index), "x"],
                                waitReplicas: 1, deadline: .seconds(10))
                            #expect(replicas == 1)
                            return value.int ?? 0
                        }
                    }
                    return try await group.reduce(0) { max($0, $1) }
                }
                #expect(most >= 200)
                let after = try await waits()
                #expect(after > before && after - before < 100)
                let tooMany = try await client.commit(
                    Self.append, keys: ["{commit}"], arguments: ["x", "x"], waitReplicas: 2,
                    deadline: .milliseconds(300))
                #expect(tooMany.replicas == 1)
                let problems = await client.durability(waitReplicas: 1)
                #expect(problems.isEmpty, "\(problems)")
                #expect(
                    await client.durability(waitReplicas: 2).map(\.code) == [
                        "ReplicasMissing", "ReplicasMissing", "ReplicasMissing",
                    ])
            }
        }

        /// WAIT commands that all nodes have run.
        func waits() async throws -> Int {
            var count = 0
            for server in try await RedisServers.shared.cluster() {
                let report = InfoReport(
                    try await RedisServers.cli(server.address.port, ["INFO", "commandstats"]))
                let calls = report["cmdstat_wait"]?.split(separator: ",").first?.split(separator: "=").last
                count += calls.flatMap { Int($0) } ?? 0
            }
            return count
        }

        @Test("while a slot moves ASK is followed, and MOVED after it, with no wrong answer")
        func migration() async throws {
            let servers = try await RedisServers.shared.cluster()
            let (tag, slot) = ("{moving}", KeySlot.of(Array("moving".utf8)))
            try await cluster({ $0.topologyInterval = .seconds(600) }) { client in
                for index in 0..<20 {
                    try await client.set(RedisArgument("\(tag)\(index)"), RedisArgument(index))
                }
                let from = try #require(client.state.withLock { $0.topology.map[slot] })
                let to = try #require(client.state.withLock { $0.topology.masters.first { $0 != from } })
                let (source, target) = (try await id(from.port), try await id(to.port))
                try await cli(to.port, "CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", source)
                try await cli(from.port, "CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", target)
                for index in 0..<10 {
                    try await cli(
                        from.port, "MIGRATE", "127.0.0.1", "\(to.port)", "\(tag)\(index)", "0", "5000")
                }
                for index in 0..<20 {
                    #expect(try await client.get(RedisArgument("\(tag)\(index)")).int == index)
                }
                #expect(client.statistics().redirects == 10)
                // A new key is made at the target; scripts and commits are asked there too.
                let (length, replicas) = try await client.commit(
                    Self.append, keys: [RedisArgument(tag + "hash")], arguments: ["f", "v"], waitReplicas: 1,
                    deadline: .seconds(5))
                #expect(length == .integer(1) && replicas == 1)
                let (first, last) = (RedisArgument(tag + "1"), RedisArgument(tag + "15"))
                // Keys on both sides: the target says TRYAGAIN until the move is done.
                async let both = client.send(
                    RedisCommand("MGET", [first, last], key: first, isIdempotent: true), deadline: .seconds(5)
                )
                try await Task.sleep(for: .milliseconds(100))
                for index in 10..<20 {
                    try await cli(
                        from.port, "MIGRATE", "127.0.0.1", "\(to.port)", "\(tag)\(index)", "0", "5000")
                }
                for node in [to.port, from.port] {
                    try await cli(node, "CLUSTER", "SETSLOT", "\(slot)", "NODE", target)
                }
                #expect(try await both.array?.map(\.int) == [1, 15])
                for index in 0..<20 {
                    #expect(try await client.get(RedisArgument("\(tag)\(index)")).int == index)
                }
                #expect(client.state.withLock { $0.topology.map[slot] } == to)
                // The others learn it too, or the next test's cluster disagrees with itself.
                for server in servers where server.address != from && server.address != to {
                    _ = try await RedisServers.cli(
                        server.address.port, ["CLUSTER", "SETSLOT", "\(slot)", "NODE", target])
                }
            }
        }

        @Test("a cluster is found by one address, which may be a replica's")
        func oneSeed() async throws {
            for server in try await RedisServers.shared.cluster() {
                try await withClient(.cluster, [server.address]) { client in
                    for index in 0..<10 { try await client.set(RedisArgument("seed-\(index)"), "1") }
                    #expect(client.statistics().nodes == 3)
                }
            }
        }

        @Test("a server that isn't a cluster's is refused as one")
        func notACluster() async throws {
            let server = try await RedisServers.shared.standalone()
            try await withClient(.cluster, [server.address]) { client in
                let error = await failure { () async throws(RedisError) in try await client.get("a") }
                #expect(error?.kind == .reply && error?.code == "ERR")
            }
        }

        @Test("kill -9 of a master under load: the cluster is used again, and no acknowledged write is lost")
        func failover() async throws {
            let servers = try await RedisServers.shared.cluster()
            try await cluster { client in
                _ = try await client.get("load-0")
                let victim = try #require(
                    client.state.withLock { $0.topology.map[KeySlot.of(Array("load-0".utf8))] })
                let server = try #require(servers.first { $0.address == victim })
                let stop = Flag()
                let (acknowledged, failures) = try await withThrowingTaskGroup(
                    of: (hash: Int, fields: [Int], failed: Int).self
                ) { group in
                    for hash in 0..<24 {
                        group.addTask {
                            var (fields, failed) = ([Int](), 0)
                            for field in 0... {
                                if stop.isSet.load(ordering: .relaxed) { break }
                                let key = RedisArgument("load-\(hash)")
                                do throws(RedisError) {
                                    let (_, replicas) = try await client.commit(
                                        Self.append, keys: [key],
                                        arguments: [RedisArgument(field), RedisArgument(field)],
                                        waitReplicas: 1, deadline: .seconds(15))
                                    if replicas >= 1 { fields.append(field) }
                                } catch {
                                    failed += 1
                                    #expect(error.mayHaveRun, "\(error)")
                                }
                            }
                            return (hash, fields, failed)
                        }
                    }
                    try await Task.sleep(for: .milliseconds(500))
                    kill(server.pid, SIGKILL)
                    let clock = ContinuousClock()
                    let start = clock.now
                    // Reads of the dead master's keys work again without anybody's help.
                    while await failure({ () async throws(RedisError) in try await client.get("load-read") })
                        != nil
                        || client.state.withLock({ $0.topology.map[KeySlot.of(Array("load-0".utf8))] })
                            == victim
                    {
                        try await Task.sleep(for: .milliseconds(50))
                        try #require(clock.now - start < .seconds(20))
                    }
                    print("failover: used again after \(clock.now - start)")
                    try await Task.sleep(for: .seconds(1))
                    stop.isSet.store(true, ordering: .relaxed)
                    var (acknowledged, failures) = ([Int: [Int]](), 0)
                    for try await result in group {
                        acknowledged[result.hash] = result.fields
                        failures += result.failed
                    }
                    return (acknowledged, failures)
                }
                var count = 0
                for (hash, fields) in acknowledged {
                    let key = RedisArgument("load-\(hash)")
                    let reply = try await client.send(
                        RedisCommand("HGETALL", [key], key: key, isIdempotent: true))
                    let values = reply.array ?? []
                    var stored: [Int: Int] = [:]
                    for index in stride(from: 0, to: values.count, by: 2) {
                        stored[values[index].int ?? -1] = values[index + 1].int
                    }
                    for field in fields { #expect(stored[field] == field) }
                    count += fields.count
                }
                print("failover: \(count) acknowledged commits are all there, \(failures) of unknown outcome")
                #expect(count > 100)
                _ = try await RedisServers.shared.restart(server)
            }
        }

        func id(_ port: Int) async throws -> String {
            try await RedisServers.cli(port, ["CLUSTER", "MYID"]).trimmingCharacters(
                in: .whitespacesAndNewlines)
        }

        func cli(_ port: Int, _ arguments: String...) async throws {
            let answer = try await RedisServers.cli(port, arguments).trimmingCharacters(
                in: .whitespacesAndNewlines)
            try #require(answer == "OK", "\(arguments) answered \(answer)")
        }
    }
}

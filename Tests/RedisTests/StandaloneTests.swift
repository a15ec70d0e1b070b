/// The client against one real server.
import Foundation
import Testing

@testable import Redis

/// Servers are paused and killed in these tests, so they run one after the other.
@Suite("On real servers", .serialized)
struct LiveTests {}

extension LiveTests {
    @Suite("One server", .serialized)
    struct StandaloneTests {
        static let nasty: [RedisArgument] = [
            "", RedisArgument([0]), "a\r\nb", "{}", "{a}{b}", "}{", "🙂 {日本}", "$5\r\nhello\r\n",
            RedisArgument((0...255).map { UInt8($0) }), RedisArgument(Array(repeating: 0xFF, count: 300_000)),
        ]

        func alone<Value: Sendable>(
            _ change: (inout RedisConfiguration) -> Void = { _ in },
            _ body: @Sendable (RedisClient) async throws -> Value
        ) async throws -> Value {
            let server = try await RedisServers.shared.standalone()
            return try await withClient(.standalone, [server.address], change, body)
        }

        @Test("keys, values and script arguments may hold any bytes")
        func binarySafe() async throws {
            try await alone { client in
                let echo = RedisScript(
                    name: "echo", source: "return {KEYS[1], ARGV[1], redis.call('GET', KEYS[1])}")
                for key in Self.nasty {
                    for value in Self.nasty {
                        #expect(try await client.set(key, value) == .status("OK"))
                        #expect(try await client.get(key).bytes == value.bytes)
                    }
                    let reply = try await client.evaluate(
                        echo, keys: [key], arguments: [key], isIdempotent: true)
                    #expect(
                        reply
                            == .array([
                                .bulk(key.bytes), .bulk(key.bytes), .bulk(Self.nasty.last?.bytes ?? []),
                            ]))
                }
            }
        }

        @Test("50 tasks get their own answers, each in order")
        func concurrent() async throws {
            try await alone { client in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for task in 0..<50 {
                        group.addTask {
                            let key = RedisArgument("count-\(task)")
                            _ = try await client.send(
                                RedisCommand("DEL", [key], key: key, isIdempotent: true))
                            for round in 1...100 {
                                let reply = try await client.send(
                                    RedisCommand("INCR", [key], key: key, isIdempotent: false))
                                #expect(reply == .integer(Int64(round)))
                            }
                            let pushes = (0..<100).map {
                                RedisCommand(
                                    "APPEND", [key, RedisArgument($0 % 10)], key: key, isIdempotent: false)
                            }
                            let lengths = try await client.send(pushes).map { try $0.get().int }
                            #expect(lengths == (4...103).map { $0 })
                        }
                    }
                    try await group.waitForAll()
                }
                let statistics = client.statistics()
                #expect(statistics.inFlight == 0 && statistics.nodes == 1 && statistics.connections >= 2)
                #expect(statistics.commands >= 50 * 201)
            }
        }

        @Test("a script is sent by its digest and whole where the server forgot it, also in a commit")
        func scripts() async throws {
            try await alone { client in
                let script = RedisScript(name: "add", source: "return redis.call('INCRBY', KEYS[1], ARGV[1])")
                _ = try await client.plain("DEL", "scripted")
                for total in 1...3 {
                    try await client.plain("SCRIPT", "FLUSH")
                    let value = try await client.evaluate(
                        script, keys: ["scripted"], arguments: ["1"], isIdempotent: false)
                    #expect(value == .integer(Int64(2 * total - 1)))
                    try await client.plain("SCRIPT", "FLUSH")
                    let (sum, replicas) = try await client.commit(
                        script, keys: ["scripted"], arguments: ["1"], waitReplicas: 1,
                        deadline: .milliseconds(300))
                    #expect(sum == .integer(Int64(2 * total)))
                    #expect(replicas == 0)
                }
            }
        }

        @Test("errors carry their code, and not what stands behind it")
        func errors() async throws {
            try await alone { client in
                try await client.set("text", "x")
                let wrong = await failure { () async throws(RedisError) in
                    try await client.send(
                        RedisCommand("LPUSH", ["text", "secret"], key: "text", isIdempotent: false))
                }
                #expect(wrong?.kind == .reply && wrong?.code == "WRONGTYPE" && wrong?.mayHaveRun == false)
                let unknown = await failure { () async throws(RedisError) in
                    try await client.plain("NOSUCH", "secret")
                }
                #expect(unknown?.code == "ERR")
                #expect(unknown.map { "\($0)".contains("secret") } == false)
                let results = await client.send([
                    RedisCommand("GET", ["text"], key: "text", isIdempotent: true),
                    RedisCommand("INCR", ["text"], key: "text", isIdempotent: false),
                    RedisCommand("GET", ["nothing"], key: "nothing", isIdempotent: true),
                ])
                #expect(try results[0].get().string == "x")
                #expect(throws: RedisError.self) { try results[1].get() }
                #expect(try results[2].get() == .null)
            }
        }

        @Test("a command that isn't answered in time fails then, and its late answer hits nobody")
        func timeouts() async throws {
            try await alone({ $0.connectionsPerNode = 1 }) { client in
                try await client.set("late", "1")
                try await client.plain("CLIENT", "PAUSE", "600")
                let clock = ContinuousClock()
                let start = clock.now
                let late = await failure { () async throws(RedisError) in
                    try await client.plain("ECHO", "late", deadline: .milliseconds(150))
                }
                #expect(clock.now - start < .milliseconds(500))
                #expect(late?.kind == .timeout && late?.mayHaveRun == true)
                #expect(try await client.plain("ECHO", "next") == .bulk(Array("next".utf8)))
                #expect(try await client.get("late").string == "1")
                #expect(client.statistics().timeouts == 1)
            }
        }

        @Test("a cancelled call ends at once, and the connection goes on")
        func cancellation() async throws {
            try await alone({ $0.connectionsPerNode = 1 }) { client in
                try await client.set("cancelled", "1")
                try await client.plain("CLIENT", "PAUSE", "600")
                let clock = ContinuousClock()
                let start = clock.now
                await withTaskGroup(of: RedisError?.self) { group in
                    group.addTask {
                        await failure { () async throws(RedisError) in try await client.plain("ECHO", "never")
                        }
                    }
                    try? await Task.sleep(for: .milliseconds(50))  // The test isn't cancelled.
                    group.cancelAll()
                    for await error in group { #expect(error?.kind == .cancelled) }
                }
                #expect(clock.now - start < .milliseconds(400))
                #expect(try await client.get("cancelled").string == "1")
            }
        }

        @Test("past the bound of commands or bytes a call fails at once, and nothing of it is sent")
        func overload() async throws {
            try await alone({
                $0.connectionsPerNode = 1
                $0.maxInFlightPerConnection = 20
                $0.maxInFlightBytesPerConnection = 100_000
            }) { client in
                try await client.plain("DEL", "overload")
                try await client.plain("CLIENT", "PAUSE", "400")
                let results = await withTaskGroup(of: RedisError?.self) { group in
                    for _ in 0..<50 {
                        group.addTask {
                            await failure { () async throws(RedisError) in
                                try await client.plain("INCR", "overload")
                            }
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                #expect(results.count { $0 == nil } == 20)
                #expect(results.compactMap { $0 }.allSatisfy { $0.kind == .overloaded && !$0.mayHaveRun })
                #expect(try await client.get("overload").int == 20)
                #expect(client.statistics().overloads == 30)
                let large = await failure { () async throws(RedisError) in
                    try await client.set("large", RedisArgument(Array(repeating: 1, count: 100_001)))
                }
                #expect(large?.kind == .tooLarge)
            }
        }

        @Test("a server that was killed is refused at once and found again when it is back")
        func reconnects() async throws {
            let server = try await RedisServers.shared.start(
                "killed", ["--appendonly", "yes", "--appendfsync", "always"])
            try await withClient(.standalone, [server.address]) { client in
                try await client.set("kept", "1")
                kill(server.pid, SIGKILL)
                // The first call may meet the connection while it dies.
                _ = await failure { () async throws(RedisError) in try await client.get("kept") }
                try await Task.sleep(for: .milliseconds(100))
                let clock = ContinuousClock()
                let start = clock.now
                let down = await failure { () async throws(RedisError) in try await client.get("kept") }
                #expect(down?.kind == .unavailable && down?.mayHaveRun == false)
                #expect(clock.now - start < .milliseconds(200))
                let script = RedisScript(name: "write", source: "return redis.call('SET', KEYS[1], ARGV[1])")
                async let commit = client.commit(
                    script, keys: ["kept"], arguments: ["2"], waitReplicas: 0, deadline: .seconds(10))
                _ = try await RedisServers.shared.restart(server)
                #expect(try await commit.value == .status("OK"))
                #expect(try await client.get("kept").string == "2")
                #expect(client.statistics().reconnects > 0)
            }
        }

        @Test("of several servers the master is found, and found again after they change roles")
        func findsTheMaster() async throws {
            let first = try await RedisServers.shared.start("role", ["--repl-diskless-sync-delay", "0"])
            let second = try await RedisServers.shared.start(
                "role", ["--replicaof", "127.0.0.1", "\(first.address.port)"])
            try await withClient(.standalone, [second.address, first.address]) { client in
                try await client.set("role", "1")
                for _ in 0..<100
                where try await RedisServers.cli(second.address.port, ["GET", "role"]) != "1\n" {
                    try await Task.sleep(for: .milliseconds(50))
                }
                _ = try await RedisServers.cli(second.address.port, ["REPLICAOF", "NO", "ONE"])
                _ = try await RedisServers.cli(
                    first.address.port, ["REPLICAOF", "127.0.0.1", "\(second.address.port)"])
                #expect(try await client.set("role", "2") == .status("OK"))
                #expect(try await RedisServers.cli(second.address.port, ["GET", "role"]) == "2\n")
            }
        }

        @Test("a server's durability is read from it")
        func durability() async throws {
            try await alone { client in
                let problems = await client.durability(waitReplicas: 0)
                #expect(problems.isEmpty, "\(problems)")
                #expect(await client.durability(waitReplicas: 1).map(\.code) == ["ReplicasMissing"])
                try await client.plain(
                    "CONFIG", "SET", "appendonly", "no", "maxmemory", "100mb", "maxmemory-policy",
                    "volatile-lru")
                #expect(
                    await client.durability(waitReplicas: 0).map(\.code) == [
                        "AppendOnlyFileOff", "EvictionEnabled",
                    ])
                try await client.plain(
                    "CONFIG", "SET", "appendonly", "yes", "maxmemory", "0", "maxmemory-policy", "noeviction")
            }
        }

        @Test("closing ends what is under way, and nothing works afterwards")
        func closes() async throws {
            try await alone { client in
                try await client.set("closing", "1")
                try await client.plain("CLIENT", "PAUSE", "300")
                async let waiting = failure { () async throws(RedisError) in
                    try await client.plain("ECHO", "x")
                }
                try await Task.sleep(for: .milliseconds(50))
                await client.close()
                #expect(await waiting?.kind == .closed)
                #expect(
                    await failure { () async throws(RedisError) in try await client.plain("PING") }?.kind
                        == .closed)
                #expect(client.statistics().connections == 0)
            }
            try await Task.sleep(for: .milliseconds(300))
        }
    }
}

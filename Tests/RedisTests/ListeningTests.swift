/// Listening to a channel on real servers: what is heard, and that a listener knows when it would hear nothing.
import Foundation
import Synchronization
import Testing

@testable import Redis

/// What a listener was told, to wait for.
private final class Heard: Sendable {
    private let news = Mutex<[RedisNews]>([])

    var all: [RedisNews] { news.withLock { $0 } }

    func take(_ one: RedisNews) { news.withLock { $0.append(one) } }

    /// Waits until what was told fulfils a condition; false when 20 seconds are over.
    func waits(until isEnough: ([RedisNews]) -> Bool) async throws -> Bool {
        for _ in 0..<2000 {
            if isEnough(all) { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }
}

extension LiveTests {
    @Suite("Listening", .serialized)
    struct ListeningTests {
        private func listening(
            _ client: RedisClient, _ channel: RedisArgument, _ body: @Sendable (Heard) async throws -> Void
        ) async throws {
            let heard = Heard()
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await client.listen(to: channel) { heard.take($0) } }
                let isListening = try await heard.waits { $0.first == .listening }
                try #require(isListening)
                try await body(heard)
                tasks.cancelAll()
            }
            // The listener's task has ended, and with it its connection.
            #expect(heard.all.last == .deaf)
        }

        @Test("every node's messages arrive, those of scripts too, and heartbeats are not handed on")
        func messages() async throws {
            let nodes = try await RedisServers.shared.cluster()
            try await withClient(.cluster, [nodes[0].address]) { client in
                try await listening(client, "news") { heard async throws in
                    #expect(try await client.channels(prefix: "new") == ["news"])
                    #expect(try await client.channels(prefix: "news*").isEmpty)
                    let script = RedisScript(
                        name: "tell", source: "return redis.call('PUBLISH', 'news', ARGV[1])")
                    var expected: Set<RedisNews> = []
                    // Keys of many slots, so that scripts run on every master.
                    for number in 0..<24 {
                        let text = RedisArgument("\r\n🙂 \(number)")
                        expected.insert(.message(text.bytes))
                        _ = try await client.evaluate(
                            script, keys: [RedisArgument("key \(number)")], arguments: [text],
                            isIdempotent: true)
                    }
                    let wanted = expected
                    #expect(try await heard.waits { wanted.isSubset(of: $0) })
                    try await Task.sleep(for: .seconds(2))
                    #expect(heard.all.count == 25)
                }
            }
        }

        @Test("a listener whose server dies is told so, and listens again when there is one")
        func killed() async throws {
            let server = try await RedisServers.shared.start("listened", ["--appendonly", "no"])
            try await withClient(.standalone, [server.address]) { client in
                try await listening(client, "news") { heard async throws in
                    kill(server.pid, SIGKILL)
                    #expect(try await heard.waits { $0.contains(.deaf) })
                    let again = try await RedisServers.shared.restart(server)
                    #expect(try await heard.waits { $0.suffix(1) == [.listening] })
                    // The commands' own connection may come later than the listener's.
                    var isTold = false
                    for _ in 0..<1000 where !isTold {
                        do {
                            _ = try await client.plain("PUBLISH", "news", "hello")
                            isTold = true
                        } catch { try await Task.sleep(for: .milliseconds(20)) }
                    }
                    #expect(try await heard.waits { $0.contains(.message(Array("hello".utf8))) })
                    #expect(heard.all.count == 4)
                    kill(again.pid, SIGKILL)
                    #expect(try await heard.waits { $0.suffix(1) == [.deaf] })
                }
            }
        }

        @Test(
            "a listener that hears nothing of itself says that it may be deaf, though its connection stands")
        func silent() async throws {
            let server = try await RedisServers.shared.start("silent", ["--appendonly", "no"])
            try await withClient(.standalone, [server.address]) { client in
                try await listening(client, "news") { heard async throws in
                    kill(server.pid, SIGSTOP)
                    #expect(try await heard.waits { $0.contains(.deaf) })
                    kill(server.pid, SIGCONT)
                    #expect(try await heard.waits { $0.suffix(1) == [.listening] })
                }
            }
        }

        @Test("a user who may not use the channel hears nothing, and nobody is told otherwise")
        func refused() async throws {
            let server = try await RedisServers.shared.start("refused", ["--appendonly", "no"])
            _ = try await RedisServers.cli(
                server.address.port,
                ["ACL", "SETUSER", "mute", "on", ">word", "~*", "+@all", "resetchannels"])
            let login = { @Sendable in RedisCredentials(user: "mute", password: "word") }
            try await withClient(.standalone, [server.address], { $0.credentials = login }) { client in
                let heard = Heard()
                await withTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { await client.listen(to: "news") { heard.take($0) } }
                    // Throws where the test is cancelled.
                    try? await Task.sleep(for: .seconds(1))
                    tasks.cancelAll()
                }
                #expect(heard.all.isEmpty)
            }
        }
    }
}

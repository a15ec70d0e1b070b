/// Peers that aren't Redis: silent, babbling, hanging up.
import NIOCore
import NIOPosix
import Testing

@testable import Redis

extension LiveTests {
    @Suite("Peers that aren't Redis", .serialized)
    struct FaultyPeerTests {
        /// Answers the greeting, then does what it is told with each further read.
        final class Peer: ChannelInboundHandler {
            typealias InboundIn = ByteBuffer

            let greets: Bool
            let answer: String?
            var reads = 0

            init(greets: Bool, answer: String?) {
                self.greets = greets
                self.answer = answer
            }

            func channelRead(context: ChannelHandlerContext, data: NIOAny) {
                reads += 1
                let text = reads == 1 && greets ? "+OK\r\n" : answer
                guard let text else { return }
                if text.isEmpty { return context.close(promise: nil) }
                context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
            }
        }

        func withPeer(
            greets: Bool, answer: String?, _ body: @Sendable (RedisClient) async throws -> Void
        ) async throws {
            let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Peer(greets: greets, answer: answer))
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let port = try #require(server.localAddress?.port)
            try await withClient(
                .standalone, [RedisAddress(host: "127.0.0.1", port: port)],
                {
                    $0.connectTimeout = .milliseconds(300)
                    $0.commandDeadline = .seconds(2)
                    $0.overdueLimit = .milliseconds(300)
                    $0.connectionsPerNode = 1
                }, body)
            try await server.close()
        }

        @Test("one that accepts and never answers is given up after the connect timeout")
        func silent() async throws {
            try await withPeer(greets: false, answer: nil) { client in
                let clock = ContinuousClock()
                let start = clock.now
                let error = await failure { () async throws(RedisError) in try await client.plain("PING") }
                #expect(error?.kind == .unavailable && error?.mayHaveRun == false)
                #expect(clock.now - start < .seconds(1))
                #expect(client.statistics().connections == 0)
            }
        }

        @Test("one that falls silent later is closed when a command is far overdue")
        func fallsSilent() async throws {
            try await withPeer(greets: true, answer: nil) { client in
                let error = await failure { () async throws(RedisError) in
                    try await client.plain("PING", deadline: .milliseconds(200))
                }
                #expect(error?.kind == .timeout && error?.mayHaveRun == true)
                try await Task.sleep(for: .milliseconds(600))
                #expect(client.statistics().reconnects >= 1)
            }
        }

        @Test(
            "one that babbles is closed",
            arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "*99999999999999\r\n"])
        func babbles(text: String) async throws {
            try await withPeer(greets: true, answer: text) { client in
                let error = await failure { () async throws(RedisError) in try await client.plain("PING") }
                #expect(error?.kind == .malformedReply && error?.mayHaveRun == true)
            }
            try await withPeer(greets: false, answer: text) { client in
                let error = await failure { () async throws(RedisError) in try await client.plain("PING") }
                #expect(error?.kind == .malformedReply && error?.mayHaveRun == false)
            }
        }

        @Test("one that says more than it was asked is closed")
        func saysMore() async throws {
            try await withPeer(greets: true, answer: "+A\r\n+B\r\n") { client in
                let reply = try await client.plain("PING")
                #expect(reply == .status("A"))
                try await Task.sleep(for: .milliseconds(100))
                #expect(client.statistics().reconnects >= 1)
            }
        }

        @Test("one that hangs up loses what was sent, and a cluster of such is none")
        func hangsUp() async throws {
            try await withPeer(greets: true, answer: "") { client in
                let error = await failure { () async throws(RedisError) in try await client.plain("PING") }
                #expect(error?.kind == .connectionLost && error?.mayHaveRun == true)
            }
        }
    }
}

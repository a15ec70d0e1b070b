/// What a long-lived event stream is told when its worker ends.
import Memory
import NIOCore
import NIOEmbedded
import Testing

@testable import Worker

@Suite("Event streams at a drain's end") struct EventStreamTests {
    private let scope = Scope(
        principal: Principal(pool: "p", credential: "c", endUser: nil), sessionID: "s")

    private func follow(_ feeds: SessionFeeds) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        let loop = LoopContext(
            clock: LoopClock(pulse: LoopPulse()), limits: ConnectionLimits(), draining: { false },
            cutting: { false }, accept: { _ in false })
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try channel.pipeline.syncOperations.addHandler(
            EventStreamHandler(loop: loop, feeds: feeds, scope: scope, from: .nothing))
        channel.embeddedEventLoop.run()
        return channel
    }

    private func told(_ channel: EmbeddedChannel) throws -> String {
        try channel.readOutbound(as: ByteBuffer.self).map { String(buffer: $0) } ?? ""
    }

    @Test("A stream that comes when all others have been told to go is told to reconnect, and closed")
    func late() throws {
        let feeds = SessionFeeds()
        let early = try follow(feeds)
        #expect(try told(early).isEmpty)
        #expect(feeds.close().count == 1)
        let late = try follow(feeds)
        #expect(try told(late).hasPrefix("event: reconnect\nretry: "))
        #expect(!late.isActive)
        #expect(early.isActive)
        _ = try? early.finish()
    }
}

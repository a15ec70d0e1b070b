import Testing

@testable import Transport

/// How much of a response waits in this process when its reader is slow, measured from outside: what the server
/// handed to the kernel, less what the kernel still holds and what was read.
@Suite(.serialized) struct BackPressureTests {
    private static let flood = 64 << 20
    private static let bound = 256 * 1024

    private func bytesInUserSpace(_ server: TestServer, read: Int) async throws -> Int {
        let accepted = try await server.countersAtRest().accepted
        return accepted - read - (try server.bytesInKernel())
    }

    @Test("A slow HTTP/1.1 reader makes no more than 256 KiB wait, and gets every byte in the end")
    func http1() async throws {
        let server = try TestServer(.http1)
        try await withClient { client in
            let response = try await client.execute(HTTPRequest(url: server.url("/flood?bytes=\(Self.flood)")))
            var body = response.body.makeAsyncIterator()
            var read = try await body.next()?.count ?? 0
            let waiting = try await bytesInUserSpace(server, read: read)
            print("HTTP/1.1: \(waiting) bytes wait in user space")
            #expect(waiting <= Self.bound)
            while let chunk = try await body.next() { read += chunk.count }
            #expect(read == Self.flood)
            #expect(client.statistics.mostBytesWaiting <= Self.bound)
        }
    }

    @Test("A slow HTTP/2 reader makes no more than 256 KiB wait, and gets every byte in the end")
    func http2() async throws {
        let server = try TestServer(.http2)
        try await withClient({ $0.slowReaderTimeout = .seconds(60) }) { client in
            let response = try await client.execute(
                HTTPRequest(url: server.url("/flood?bytes=\(Self.flood)"), version: .http2))
            var body = response.body.makeAsyncIterator()
            var read = try await body.next()?.count ?? 0
            let waiting = try await bytesInUserSpace(server, read: read)
            print("HTTP/2: \(waiting) bytes wait in user space")
            #expect(waiting <= Self.bound)
            while let chunk = try await body.next() { read += chunk.count }
            #expect(read == Self.flood)
            #expect(client.statistics.mostBytesWaiting <= Self.bound)
        }
    }

    @Test("An HTTP/2 reader that stays behind loses its own stream, and the others on the connection go on")
    func slowReader() async throws {
        let server = try TestServer(.http2)
        try await withClient({ $0.slowReaderTimeout = .milliseconds(100) }) { client in
            let slow = try await client.execute(
                HTTPRequest(url: server.url("/flood?bytes=\(Self.flood)"), version: .http2))
            let step = try await client.execute(HTTPRequest(url: server.url("/step?steps=3"), version: .http2))
            try await expectSteps(3, of: step, from: server)
            try await server.counters { $0.gone == 1 }
            let error = try await transportError { for try await _ in slow.body {} }
            #expect(error?.kind == .slowReader)
            #expect(try await server.counters().connections == 1)
            #expect(client.statistics.mostBytesWaiting <= Self.bound)
        }
    }
}

import Testing

@testable import Transport

/// How much of a response waits in this process when its reader is slow, measured from outside: what the server
/// handed to the kernel, less what the kernel still holds and what was read.
@Suite(.serialized) struct BackPressureTests {
    private static let flood = 32 << 20
    private static let bound = 256 * 1024

    @Test(
        "A slow reader makes no more than 256 KiB wait, and gets every byte in the end",
        arguments: [
            (TestServer.Kind.http1, false), (.http1, true), (.http2, false), (.http2, true),
        ])
    func slowReader(kind: TestServer.Kind, secure: Bool) async throws {
        let certificate = try await Certificate()
        let server = try await TestServer(kind, certificate: secure ? certificate : nil)
        try await withClient({
            $0.caFile = certificate.file
            $0.slowReaderTimeout = .seconds(60)
            // The server makes 32 MiB in Python, on a machine that may be busy.
            $0.idleTimeout = .seconds(300)
        }) { client in
            let response = try await client.execute(
                HTTPRequest(
                    url: server.url("/flood?bytes=\(Self.flood)"), version: kind == .http1 ? .http1 : .http2))
            var body = response.body.makeAsyncIterator()
            var read = try await body.next()?.count ?? 0
            let waiting = try await server.bytesGivenToClient() - read
            print("\(kind), \(secure ? "TLS" : "plain"): \(waiting) bytes wait in user space")
            #expect(waiting <= Self.bound)
            while let chunk = try await body.next() { read += chunk.count }
            #expect(read == Self.flood)
            #expect(client.statistics.mostBytesWaiting <= Self.bound)
        }
    }

    @Test("An HTTP/2 reader that stays behind loses its own stream, and the others on the connection go on")
    func slowStream() async throws {
        let certificate = try await Certificate()
        let server = try await TestServer(.http2, certificate: certificate)
        try await withClient({
            $0.caFile = certificate.file
            $0.slowReaderTimeout = .milliseconds(100)
        }) { client in
            let step = try await client.execute(
                HTTPRequest(url: server.url("/step?steps=3"), version: .http2))
            let slow = try await client.execute(
                HTTPRequest(url: server.url("/flood?bytes=\(Self.flood)"), version: .http2))
            let error = try await transportError {
                try await server.counters { _ in client.statistics.runningRequests == 1 }
                for try await _ in slow.body {}
            }
            #expect(error?.kind == .slowReader)
            try await expectSteps(3, of: step, from: server)
            try await server.counters { $0.gone == 1 }
            #expect(try await server.counters().connections == 1)
            #expect(client.statistics.mostBytesWaiting <= Self.bound)
        }
    }
}

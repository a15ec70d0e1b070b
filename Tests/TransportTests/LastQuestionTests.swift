import Synchronization
import Testing

@testable import Transport

/// What is asked before a request is sent, and limits that begin with the call.
@Suite struct LastQuestionTests {
    /// Says yes so many times, and counts how often it was asked.
    private final class Permission: Sendable {
        private let times: Int
        private let count = Atomic<Int>(0)
        var asked: Int { count.load(ordering: .relaxed) }

        init(times: Int) {
            self.times = times
        }

        func isGranted() -> Bool {
            count.add(1, ordering: .relaxed).newValue <= times
        }
    }

    @Test(
        "A request is asked about once on a new connection and on a kept one, and is not sent where the answer is no"
    )
    func asked() async throws {
        let server = try await TestServer(.http1)
        let permission = Permission(times: 2)
        try await withClient { client in
            for round in 1...3 {
                let error = try await transportError {
                    let request = HTTPRequest(
                        method: "POST", url: server.url("/hello"), body: [1],
                        mayBeSent: { permission.isGranted() })
                    _ = try await client.execute(request).body.text()
                }
                #expect(permission.asked == round)
                #expect(error?.kind == (round == 3 ? .withheld : nil))
            }
            // Whatever else is asked for is none of its business.
            _ = try await client.execute(HTTPRequest(url: server.url("/hello"))).body.text()
        }
        #expect(try await server.counters().requests == 3)
    }

    @Test("A request that is not to be sent is not sent over HTTP/2 either, and spoils nothing for others")
    func multiplexed() async throws {
        let certificate = try await Certificate()
        let server = try await TestServer(.http2, certificate: certificate)
        try await withClient({ $0.caFile = certificate.file }) { client in
            for isGranted in [true, false, true] {
                let error = try await transportError {
                    let request = HTTPRequest(
                        url: server.url("/hello"), version: .http2, mayBeSent: { isGranted })
                    _ = try await client.execute(request).body.text()
                }
                #expect(error?.kind == (isGranted ? nil : .withheld))
            }
        }
        #expect(try await server.counters().requests == 2)
    }

    @Test("A request whose time is up while it waits for a connection is never sent")
    func waiting() async throws {
        let server = try await TestServer(.http1)
        try await withClient({ $0.maxConnectionsPerHost = 1 }) { client in
            let first = try await client.execute(HTTPRequest(url: server.url("/step?steps=2")))
            let permission = Permission(times: 1)
            let error = try await transportError {
                _ = try await client.execute(
                    HTTPRequest(
                        url: server.url("/hello"), totalTimeout: .milliseconds(200),
                        mayBeSent: { permission.isGranted() }))
            }
            #expect(error?.kind == .timeout(.total))
            try await server.go()
            _ = try await first.body.text()
            #expect(permission.asked == 0)
        }
        #expect(try await server.counters().requests == 1)
    }

    @Test("A request whose time was up before it was made is refused without a connection")
    func late() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let error = try await transportError {
                _ = try await client.execute(HTTPRequest(url: server.url("/hello"), totalTimeout: .zero))
            }
            #expect(error?.kind == .timeout(.total))
        }
        #expect(try await server.counters().connections == 0)
    }
}

import Testing

@testable import Transport

/// Requests whose responses nobody waits for.
@Suite struct UnheardRequestTests {
    @Test("A request that nobody waits for is sent, also where the task was cancelled")
    func sent() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let request = HTTPRequest(url: server.url("/hello"), totalTimeout: .seconds(60))
            client.send(request)
            try await server.counters(where: { $0.requests == 1 })
            await withTaskGroup(of: Void.self) { group in
                group.cancelAll()
                group.addTask { client.send(request) }
            }
            try await server.counters(where: { $0.requests == 2 })
            while client.statistics.runningRequests > 0 { await Task.yield() }
            // Whoever comes later is served as ever.
            _ = try await client.execute(request).body.text()
        }
    }

    @Test("Its time is bounded, and so is what its response costs")
    func bounded() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            client.send(HTTPRequest(url: server.url("/step?steps=2"), totalTimeout: .milliseconds(50)))
            while client.statistics.runningRequests > 0 { await Task.yield() }
            #expect(client.statistics.mostBytesWaiting == 0)
        }
    }

    @Test("What can't be sent is dropped, and so is what comes after the client's end")
    func dropped() async throws {
        try await withClient { client in
            client.send(HTTPRequest(url: "ftp://127.0.0.1/"))
            #expect(client.statistics.runningRequests == 0)
            await client.shutdown()
            client.send(HTTPRequest(url: "http://127.0.0.1:1/"))
            while client.statistics.runningRequests > 0 { await Task.yield() }
        }
    }
}

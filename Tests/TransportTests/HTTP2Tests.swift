import Testing

@testable import Transport

/// Requests that share a connection, against a real HTTP/2 server.
@Suite struct HTTP2Tests {
    @Test("Two hundred streams at the same time share one connection")
    func multiplexing() async throws {
        let certificate = try await Certificate()
        let server = try await TestServer(.http2, certificate: certificate)
        try await withClient({ $0.caFile = certificate.file }) { client in
            try await withThrowingTaskGroup(of: HTTPResponse.self) { group in
                for _ in 0..<200 {
                    group.addTask {
                        try await client.execute(
                            HTTPRequest(url: server.url("/step?steps=2"), version: .http2))
                    }
                }
                var responses: [HTTPResponse] = []
                for try await response in group { responses.append(response) }
                let counters = try await server.counters()
                #expect(counters.requests == 200)
                #expect(counters.connections == 1)
                for _ in responses { try await server.go() }
                for response in responses {
                    #expect(try await response.body.text() == "data: 0\n\ndata: 1\n\n")
                }
            }
        }
    }

    @Test("An event arrives before the next one has been sent")
    func streaming() async throws {
        let certificate = try await Certificate()
        let server = try await TestServer(.http2, certificate: certificate)
        try await withClient({ $0.caFile = certificate.file }) { client in
            let response = try await client.execute(
                HTTPRequest(url: server.url("/step?steps=5"), version: .http2))
            #expect(response.status == 200)
            #expect(response.headers["Content-Type"] == "text/event-stream")
            try await expectSteps(5, of: response, from: server)
        }
    }

    @Test("A request's body arrives whole, and HTTP/2 is agreed on within TLS")
    func bodies() async throws {
        let certificate = try await Certificate()
        for server in [try await TestServer(.http2), try await TestServer(.http2, certificate: certificate)] {
            try await withClient({ $0.caFile = certificate.file }) { client in
                let body = [UInt8](repeating: UInt8(ascii: "a"), count: 1 << 20)
                let response = try await client.execute(
                    HTTPRequest(method: "POST", url: server.url("/echo"), body: body, version: .http2))
                #expect(try await response.body.collect(upTo: 2 << 20) == body)
            }
        }
    }

    @Test("A stream that is reset in the middle of its body is an error, and the connection goes on")
    func reset() async throws {
        let certificate = try await Certificate()
        let server = try await TestServer(.http2, certificate: certificate)
        try await withClient({ $0.caFile = certificate.file }) { client in
            let other = try await client.execute(
                HTTPRequest(url: server.url("/step?steps=2"), version: .http2))
            let response = try await client.execute(HTTPRequest(url: server.url("/reset"), version: .http2))
            var received: [UInt8] = []
            let error = try await transportError {
                for try await chunk in response.body {
                    received += chunk
                    // One for each of the two streams that wait.
                    try await server.go()
                    try await server.go()
                }
            }
            #expect(error?.kind == .reset)
            #expect(String(decoding: received, as: UTF8.self) == "ten bytes.")
            #expect(try await other.body.text() == "data: 0\n\ndata: 1\n\n")
            #expect(try await server.counters().connections == 1)
        }
    }

    @Test("Dropping a response resets its stream alone")
    func cancellation() async throws {
        let certificate = try await Certificate()
        let server = try await TestServer(.http2, certificate: certificate)
        try await withClient({ $0.caFile = certificate.file }) { client in
            let other = try await client.execute(
                HTTPRequest(url: server.url("/step?steps=2"), version: .http2))
            _ = try await client.execute(HTTPRequest(url: server.url("/stall"), version: .http2))
            try await expectSteps(2, of: other, from: server)
            try await server.counters { $0.gone == 1 }
            #expect(try await server.counters().connections == 1)
        }
    }

    @Test("Dropping the last response of a connection tells the server at once", arguments: [true, false])
    func lastCancellation(secure: Bool) async throws {
        let certificate = try await Certificate()
        let server = try await TestServer(.http2, certificate: secure ? certificate : nil)
        try await withClient({ $0.caFile = certificate.file }) { client in
            _ = try await client.execute(HTTPRequest(url: server.url("/stall"), version: .http2))
            try await server.counters { $0.gone == 1 }
            let next = try await client.execute(HTTPRequest(url: server.url("/hello"), version: .http2))
            #expect(try await next.body.text() == "hello")
        }
    }

    @Test("A connection that breaks is an error for every stream on it, and an end for none")
    func brokenConnection() async throws {
        let certificate = try await Certificate()
        let server = try await TestServer(.http2, certificate: certificate)
        try await withClient({ $0.caFile = certificate.file }) { client in
            let cut = try await client.execute(HTTPRequest(url: server.url("/cut"), version: .http2))
            var responses = [cut]
            for _ in 0..<5 {
                responses.append(
                    try await client.execute(HTTPRequest(url: server.url("/stall"), version: .http2)))
            }
            try await server.go()
            for response in responses {
                let error = try await transportError { for try await _ in response.body {} }
                #expect(error?.kind == .reset)
            }
            #expect(try await server.counters().connections == 1)
        }
    }

    @Test("By prior knowledge, requests at the same time and one after another all succeed")
    func priorKnowledge() async throws {
        let server = try await TestServer(.http2)
        try await withClient { client in
            for _ in 0..<3 {
                try await withThrowingTaskGroup(of: String.self) { group in
                    for _ in 0..<5 {
                        group.addTask {
                            try await client.execute(HTTPRequest(url: server.url("/hello"), version: .http2))
                                .body.text()
                        }
                    }
                    for try await text in group { #expect(text == "hello") }
                }
            }
        }
    }
}

import Foundation
import Testing

@testable import Transport

/// Requests and responses of every shape, against a real HTTP/1.1 server.
@Suite struct HTTPClientTests {
    @Test(
        "Bodies arrive whole, however the server marks their end",
        arguments: [
            ("/hello", "hello"), ("/chunked", "one two three"), ("/until-close", "all there is"),
            ("/empty", ""),
            ("/interim", "final"),
        ])
    func framings(path: String, expected: String) async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let response = try await client.execute(HTTPRequest(url: server.url(path)))
            #expect(try await response.body.text() == expected)
        }
    }

    @Test("Method, headers and body reach the server as they were given")
    func request() async throws {
        struct Echo: Decodable { let method: String, headers: [String: String], body: String }
        let server = try await TestServer(.http1)
        try await withClient { client in
            for method in ["POST", "PUT", "GET", "DELETE"] {
                let body = method == "DELETE" ? nil : Array("{\"a\":1}".utf8)
                let response = try await client.execute(
                    HTTPRequest(
                        method: method, url: server.url("/echo"),
                        headers: [("Authorization", "Bearer x"), ("X-Empty", "")], body: body))
                #expect(response.status == 200)
                #expect(response.headers["x-ECHO"] == "yes")
                let text = try await response.body.text()
                let echo = try JSONDecoder().decode(Echo.self, from: Data(text.utf8))
                #expect(echo.method == method)
                #expect(echo.body == (body == nil ? "" : "{\"a\":1}"))
                #expect(echo.headers["authorization"] == "Bearer x")
                #expect(echo.headers["content-type"] == nil)
                #expect(echo.headers["expect"] == nil)
            }
        }
    }

    @Test("A large request body arrives whole")
    func largeRequest() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let body = [UInt8](repeating: UInt8(ascii: "a"), count: 3 << 20)
            let response = try await client.execute(
                HTTPRequest(method: "POST", url: server.url("/echo"), body: body))
            #expect(try await response.body.collect(upTo: 4 << 20).count > 3 << 20)
        }
    }

    @Test("A HEAD request has a head and no body")
    func head() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let response = try await client.execute(HTTPRequest(method: "HEAD", url: server.url("/redirect")))
            #expect(response.status == 302)
            #expect(try await response.body.text() == "")
        }
    }

    @Test("A redirect is handed to the caller, not followed")
    func redirect() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let response = try await client.execute(HTTPRequest(url: server.url("/redirect")))
            #expect(response.status == 302)
            #expect(response.headers["location"] == "/hello")
            #expect(try await server.counters().requests == 1)
        }
    }

    @Test("Requests one after another use one connection")
    func keepAlive() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            for _ in 0..<20 {
                _ = try await client.execute(HTTPRequest(url: server.url("/hello"))).body.text()
            }
            let counters = try await server.counters()
            #expect(counters.requests == 20)
            #expect(counters.connections == 1)
        }
    }

    @Test("No more connections are open than are allowed; the other requests wait their turn")
    func connectionLimit() async throws {
        let server = try await TestServer(.http1)
        try await withClient({ $0.maxConnectionsPerHost = 2 }) { client in
            try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<30 {
                    group.addTask {
                        try await client.execute(HTTPRequest(url: server.url("/hello"))).body.text()
                    }
                }
                for try await text in group { #expect(text == "hello") }
            }
            #expect(try await server.counters().connections <= 2)
        }
    }

    @Test("One request more than are allowed at a time is refused at once, and its place is free afterwards")
    func requestLimit() async throws {
        let server = try await TestServer(.http1)
        try await withClient({ $0.maxRequests = 1 }) { client in
            let first = try await client.execute(HTTPRequest(url: server.url("/stall")))
            let refused = try await transportError {
                _ = try await client.execute(HTTPRequest(url: server.url("/hello")))
            }
            #expect(refused?.kind == .overloaded)
            first.body.cancel()
            #expect(try await client.execute(HTTPRequest(url: server.url("/hello"))).body.text() == "hello")
        }
    }

    @Test("An event arrives before the next one has been sent")
    func streaming() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let response = try await client.execute(HTTPRequest(url: server.url("/step?steps=5")))
            try await expectSteps(5, of: response, from: server)
        }
    }

    @Test("Pieces that arrive together wake the reader once")
    func burst() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let response = try await client.execute(HTTPRequest(url: server.url("/burst")))
            var chunks = 0
            for try await _ in response.body { chunks += 1 }
            #expect(chunks < 20)
        }
    }

    @Test("A thousand streams run at the same time")
    func thousandStreams() async throws {
        let server = try await TestServer(.http1)
        try await withClient({ $0.maxConnectionsPerHost = 1024 }) { client in
            try await withThrowingTaskGroup(of: HTTPResponse.self) { group in
                for _ in 0..<1000 {
                    group.addTask { try await client.execute(HTTPRequest(url: server.url("/step?steps=2"))) }
                }
                var responses: [HTTPResponse] = []
                for try await response in group { responses.append(response) }
                #expect(try await server.counters().openConnections == 1000)
                #expect(client.statistics.runningRequests == 1000)
                for response in responses {
                    try await server.go()
                    _ = response
                }
                for response in responses {
                    #expect(try await response.body.text() == "data: 0\n\ndata: 1\n\n")
                }
            }
            #expect(client.statistics.runningRequests == 0)
        }
    }
}

/// Reads `steps` events one at a time, letting the server send each next one only then.
func expectSteps(_ steps: Int, of response: HTTPResponse, from server: TestServer) async throws {
    var parser = ServerSentEventParser()
    var events: [ServerSentEvent] = []
    for try await chunk in response.body {
        let before = events.count
        try parser.feed(chunk, into: &events)
        if events.count > before, events.count < steps { try await server.go() }
    }
    #expect(events.map(\.text) == (0..<steps).map(String.init))
}

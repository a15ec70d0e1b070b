import Foundation
import Testing

@testable import Transport

/// What goes wrong on the way: deadlines, broken connections, cancellation, shutdown.
@Suite struct HTTPFailureTests {
    @Test(
        "A connection that breaks off in the middle of a body is an error after the bytes, never an end",
        arguments: [
            "/reset", "/cut",
        ])
    func brokenBody(path: String) async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let response = try await client.execute(HTTPRequest(url: server.url(path)))
            var received: [UInt8] = []
            let error = try await transportError {
                for try await chunk in response.body {
                    received += chunk
                    try await server.go()
                }
            }
            #expect(error?.kind == .reset)
            #expect(String(decoding: received, as: UTF8.self) == "ten bytes.")
        }
    }

    @Test("Cancelling the task that reads closes the connection")
    func cancelReading() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let response = try await client.execute(HTTPRequest(url: server.url("/stall")))
            let error = try await transportError {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { for try await _ in response.body {} }
                    try await server.counters { $0.requests == 1 }
                    group.cancelAll()
                    try await group.waitForAll()
                }
            }
            #expect(error?.kind == .cancelled)
            try await server.counters { $0.connections == 1 && $0.openConnections == 0 }
        }
    }

    @Test("Cancelling a request that waits for its head closes the connection")
    func cancelHead() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let error = try await transportError {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { _ = try await client.execute(HTTPRequest(url: server.url("/silent"))) }
                    try await server.counters { $0.requests == 1 }
                    group.cancelAll()
                    try await group.waitForAll()
                }
            }
            #expect(error?.kind == .cancelled)
            try await server.counters { $0.connections == 1 && $0.openConnections == 0 }
        }
    }

    @Test("A request made by a cancelled task is not sent")
    func cancelledBefore() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let error = try await transportError {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.cancelAll()
                    group.addTask { _ = try await client.execute(HTTPRequest(url: server.url("/hello"))) }
                    try await group.waitForAll()
                }
            }
            #expect(error?.kind == .cancelled)
            #expect(try await server.counters().requests == 0)
        }
    }

    @Test("Dropping a response without reading it closes the connection")
    func dropping() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            _ = try await client.execute(HTTPRequest(url: server.url("/stall")))
            try await server.counters { $0.connections == 1 && $0.openConnections == 0 }
            #expect(client.statistics.runningRequests == 0)
        }
    }

    @Test(
        "A server that accepts and then says nothing meets the idle timeout, before and after the head",
        arguments: [
            "/silent", "/stall",
        ])
    func idleTimeout(path: String) async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let error = try await transportError {
                let request = HTTPRequest(url: server.url(path), idleTimeout: .milliseconds(50))
                _ = try await client.execute(request).body.text()
            }
            #expect(error?.kind == .timeout(.idle))
            try await server.counters { $0.connections == 1 && $0.openConnections == 0 }
        }
    }

    @Test("A response that goes on for too long meets the total timeout")
    func totalTimeout() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let error = try await transportError {
                let request = HTTPRequest(url: server.url("/stall"), totalTimeout: .milliseconds(50))
                _ = try await client.execute(request).body.text()
            }
            #expect(error?.kind == .timeout(.total))
        }
    }

    @Test("A peer that never finishes the handshake meets the connect timeout")
    func connectTimeout() async throws {
        let mute = try SilentListener()
        try await withClient { client in
            let error = try await transportError {
                _ = try await client.execute(
                    HTTPRequest(url: "https://127.0.0.1:\(mute.port)/", connectTimeout: .milliseconds(50)))
            }
            #expect(error?.kind == .timeout(.connect))
        }
    }

    @Test("A port without a listener and a name without an address are told apart")
    func unreachable() async throws {
        let port = try SilentListener().port
        try await withClient { client in
            let refused = try await transportError {
                _ = try await client.execute(HTTPRequest(url: "http://127.0.0.1:\(port)/"))
            }
            #expect(refused?.kind == .connect)
            #expect(refused?.message.contains("127.0.0.1:\(port): Connection refused") == true)
            let unknown = try await transportError {
                _ = try await client.execute(HTTPRequest(url: "http://no-such-host.invalid/"))
            }
            #expect(unknown?.kind == .resolve)
        }
    }

    @Test(
        "A head over its bound, and an answer that isn't HTTP, are refused",
        arguments: [
            ("/big-head", TransportError.Kind.tooLarge), ("/not-http", .malformedResponse),
        ])
    func badHeads(path: String, kind: TransportError.Kind) async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let error = try await transportError {
                _ = try await client.execute(HTTPRequest(url: server.url(path)))
            }
            #expect(error?.kind == kind)
        }
    }

    @Test("A body over the limit of collect is refused and its connection closed")
    func collectLimit() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            let response = try await client.execute(HTTPRequest(url: server.url("/flood?bytes=100000000")))
            let error = try await transportError { _ = try await response.body.collect(upTo: 100_000) }
            #expect(error?.kind == .tooLarge)
            try await server.counters { $0.openConnections == 0 }
        }
    }

    @Test("Shutdown fails what runs and what comes later, and returns")
    func shutdown() async throws {
        let server = try await TestServer(.http1)
        let client = HTTPClient(configuration: .direct, logger: .quiet)
        let streaming = try await client.execute(HTTPRequest(url: server.url("/stall")))
        let errors = try await withThrowingTaskGroup(of: TransportError?.self) { group in
            group.addTask {
                try await transportError {
                    _ = try await client.execute(HTTPRequest(url: server.url("/silent")))
                }
            }
            group.addTask { try await transportError { for try await _ in streaming.body {} } }
            try await server.counters { $0.requests == 2 }
            await client.shutdown()
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(errors.map { $0?.kind } == [.shutdown, .shutdown])
        let late = try await transportError {
            _ = try await client.execute(HTTPRequest(url: server.url("/hello")))
        }
        #expect(late?.kind == .shutdown)
        await client.shutdown()
    }

    @Test(
        "A request that can't be sent as it stands is refused before anything is sent",
        arguments: [
            HTTPRequest(url: "ftp://example.com/"), HTTPRequest(url: "http://"), HTTPRequest(url: "/path"),
            HTTPRequest(url: "http://user:secret@example.com/"),
            HTTPRequest(method: "GET /", url: "http://a/"),
            HTTPRequest(url: "http://a/", headers: [("X-A", "b\r\nX-Secret: 1")]),
            HTTPRequest(url: "http://a/", headers: [("X A", "b")]),
            HTTPRequest(url: "http://a/", headers: [("Content-Length", "7")]),
        ])
    func invalid(request: HTTPRequest) async throws {
        try await withClient { client in
            let error = try await transportError { _ = try await client.execute(request) }
            #expect(error?.kind == .invalidRequest)
            #expect(error?.message.lowercased().contains("secret") == false)
        }
    }

    @Test("No error's text has a header's value, a path, a query or a body in it")
    func errorTexts() async throws {
        let server = try await TestServer(.http1)
        try await withClient { client in
            for path in ["/reset", "/cut", "/big-head", "/not-http", "/silent", "/stall"] {
                let error = try await transportError {
                    let request = HTTPRequest(
                        method: "POST", url: server.url(path + "?key=secret-query"),
                        headers: [("Authorization", "Bearer secret-token")], body: Array("secret-body".utf8),
                        idleTimeout: .milliseconds(50))
                    let response = try await client.execute(request)
                    try await server.go()
                    _ = try await response.body.text()
                }
                let text = try #require(error).description
                #expect(text.contains("127.0.0.1:\(server.port)"))
                for secret in ["secret", "Bearer", "Authorization", path] { #expect(!text.contains(secret)) }
            }
        }
    }
}

/// A port that takes connections and never answers.
final class SilentListener: Sendable {
    let port: UInt16
    private let socket: Int32

    init() throws {
        socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = socket
        let failed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) != 0 || listen(listener, 8) != 0
                    || getsockname(listener, $0, &length) != 0
            }
        }
        if failed { throw POSIXError(.EADDRNOTAVAIL) }
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit {
        close(socket)
    }
}

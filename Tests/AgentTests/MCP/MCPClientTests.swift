import Logging
import Memory
import Synchronization
import Testing
import Transport

@testable import Agent

/// The real client and the real HTTP client against a server that behaves badly: era, session and list.
@Suite struct MCPClientTests {
    private let server: StandInToolServer

    init() throws {
        server = try StandInToolServer.shared.get()
    }

    private let time = Duration.seconds(60)
    private let names = ["look", "book", "put", "region"]

    @Test("A server of the modern era is asked without a handshake")
    func modern() async throws {
        let endpoint = server.endpoint("modern")
        let client = endpoint.client()
        #expect(try await client.tools(within: time).map(\.name) == names)
        #expect(
            await client.call(.book, arguments: #"{"a":1}"#, within: time)
                == ToolResult(.done, #"book {"a": 1}"#))
        #expect(try await endpoint.seen().methods == ["server/discover", "tools/list", "tools/call"])
    }

    @Test(
        "A server of the older era is given a handshake and its session",
        arguments: ["older", "older,sessionless"])
    func older(modes: String) async throws {
        let endpoint = server.endpoint(modes)
        let client = endpoint.client()
        #expect(try await client.tools(within: time).map(\.name) == names)
        #expect(await client.call(.look, arguments: "", within: time) == ToolResult(.done, "look {}"))
        let seen = try await endpoint.seen()
        #expect(
            seen.methods == [
                "server/discover", "initialize", "notifications/initialized", "tools/list", "tools/call",
            ])
        let last = try #require(seen.requests.last)
        #expect(last.headers["mcp-protocol-version"] == "2025-06-18")
        #expect((last.headers["mcp-session-id"] != nil) == (modes == "older"))
    }

    @Test("A session that the server lost in a restart is begun anew, and the call made once more")
    func restart() async throws {
        let endpoint = server.endpoint("older")
        let client = endpoint.client()
        _ = try await client.tools(within: time)
        try await endpoint.forgetSessions()
        #expect(await client.call(.book, arguments: "{}", within: time) == ToolResult(.done, "book {}"))
        #expect(try await endpoint.seen().executions == ["book": 1])
        try await endpoint.forgetSessions()
        // The list may be another after a restart.
        #expect(try await client.tools(within: time).map(\.name) == names)
        #expect(try await endpoint.seen().methods.count { $0 == "initialize" } == 3)
    }

    @Test(
        "Many calls that lose their session at one time begin one new session and are each carried out once")
    func manyRestarts() async throws {
        let endpoint = server.endpoint("older")
        let client = endpoint.client()
        _ = try await client.tools(within: time)
        try await endpoint.forgetSessions()
        await withTaskGroup(of: ToolOutcome.self) { group in
            for _ in 0..<30 {
                group.addTask { await client.call(.book, arguments: "{}", within: self.time).outcome }
            }
            for await outcome in group { #expect(outcome == .done) }
        }
        let seen = try await endpoint.seen()
        #expect(seen.executions == ["book": 30])
        #expect(seen.methods.count { $0 == "initialize" } == 2)
    }

    @Test("A server that changes its era is looked at again", arguments: ["older", "modern"])
    func changedEra(first: String) async throws {
        let second = first == "older" ? "modern" : "older"
        let endpoint = server.endpoint(first)
        let client = endpoint.client()
        #expect(await client.call(.book, arguments: "{}", within: time).outcome == .done)
        try await endpoint.become(second)
        #expect(await client.call(.book, arguments: "{}", within: time).outcome == .done)
        #expect(try await client.tools(within: time).map(\.name) == names)
        try await endpoint.become(first)
        #expect(await client.call(.book, arguments: "{}", within: time).outcome == .done)
        #expect(try await endpoint.seen().executions == ["book": 3])
    }

    @Test("A list comes page by page", arguments: ["paged", "older,paged"])
    func paged(modes: String) async throws {
        #expect(try await server.endpoint(modes).client().tools(within: time).map(\.name) == names)
    }

    @Test("Cursors that go in circles or never end are left at the bound", arguments: ["loop", "endless"])
    func cursors(modes: String) async throws {
        let logs = LogLines()
        let tools = try await server.endpoint(modes).client(logs: logs).tools(within: time)
        #expect(tools.count == (modes == "loop" ? 3 : 512))
        #expect(logs.all.count { $0.hasPrefix("warning") } == 1)
    }

    @Test("A lying list gives the tools that are whole, and warns of the others once")
    func lying() async throws {
        let logs = LogLines()
        let client = server.endpoint("lying,ttl0").client(logs: logs)
        for _ in 0..<2 { #expect(try await client.tools(within: time).map(\.name) == names) }
        let warnings = logs.all.filter { $0.hasPrefix("warning") }
        #expect(warnings.count == 6)
        for name in ["textual", "bare", "two words", "look", "marked"] {
            #expect(warnings.contains { $0.contains(name) })
        }
    }

    @Test("Only allowed tools are seen, and no others can be called")
    func allow() async throws {
        let endpoint = server.endpoint("modern")
        let client = endpoint.client(allow: ["put", "book"])
        #expect(try await client.tools(within: time).map(\.name) == ["book", "put"])
        #expect(await client.call(.look, arguments: "{}", within: time).outcome == .notSent)
        #expect(try await endpoint.seen().executions.isEmpty)
    }

    @Test("One listing serves all who ask at one time, and later ones come from the cache")
    func cached() async throws {
        let endpoint = server.endpoint("slow")
        let client = endpoint.client()
        try await withThrowingTaskGroup { group in
            for _ in 0..<10 { group.addTask { try await client.tools(within: time).count } }
            for try await count in group { #expect(count == 4) }
        }
        #expect(try await endpoint.seen().methods == ["server/discover", "tools/list"])
    }

    @Test("A server that says that its tools have changed is asked again")
    func changed() async throws {
        let endpoint = server.endpoint("call-stream")
        let client = endpoint.client()
        _ = try await client.tools(within: time)
        _ = try await client.tools(within: time)
        #expect(await client.call(.look, arguments: "{}", within: time).outcome == .done)
        _ = try await client.tools(within: time)
        #expect(try await endpoint.seen().methods.count { $0 == "tools/list" } == 2)
    }

    @Test("A listing that fails is stood in for by the older one, and fails where there is none")
    func standIn() async throws {
        let logs = LogLines()
        let endpoint = server.endpoint("ttl0")
        let client = endpoint.client(logs: logs)
        _ = try await client.tools(within: time)
        try await endpoint.become("broken")
        #expect(try await client.tools(within: time).map(\.name) == names)
        #expect(try await client.tools(within: time).map(\.name) == names)
        #expect(logs.all.count { $0.contains("can't list its tools") } == 1)
        let error = await #expect(throws: MCPError.self) { try await endpoint.client().tools(within: time) }
        #expect(error?.status == 503)
        #expect(error?.message.contains("spec.mcpServers[0]") == true)
    }

    @Test(
        "Errors name the field and what to mend",
        arguments: [
            ("refusing", MCPError.Kind.rejected, "headersSecretRef"), ("broken", .rejected, "status 503"),
            ("unsupported", .incompatible, "Update"), ("older,ancient", .incompatible, "1999-01-01"),
            ("unlisted", .rejected, "the shelf is locked"), ("huge", .malformed, "bytes"),
        ])
    func errors(modes: String, kind: MCPError.Kind, words: String) async throws {
        let client = server.endpoint(modes).client { ["Authorization": "Bearer sk-123456"] }
        let error = await #expect(throws: MCPError.self) { try await client.tools(within: time) }
        #expect(error?.kind == kind)
        #expect(error?.message.contains("spec.mcpServers[0]") == true)
        #expect(error?.message.contains(words) == true)
        #expect(error?.message.contains("sk-123456") == false)
    }

    @Test("A silent server costs no more than the time that is given, and cancelling ends the wait")
    func silent() async throws {
        let client = server.endpoint("silent").client()
        let error = await #expect(throws: MCPError.self) {
            try await client.tools(within: .milliseconds(300))
        }
        #expect(error?.kind == .timeout)
        // For a while nobody waits again.
        let next = await #expect(throws: MCPError.self) { try await client.tools(within: time) }
        #expect(next?.kind == .timeout)
        let other = server.endpoint("silent").client()
        let cancelled = await withTaskGroup(of: MCPError.Kind?.self) { group in
            group.addTask {
                do throws(MCPError) {
                    _ = try await other.tools(within: self.time)
                    return nil
                } catch {
                    return error.kind
                }
            }
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect(cancelled == .cancelled)
    }

    @Test(
        "Closing ends the session of a server that keeps one",
        arguments: ["older", "older,sessionless", "modern"])
    func closing(modes: String) async throws {
        let endpoint = server.endpoint(modes)
        let client = endpoint.client { ["Authorization": "Bearer one"] }
        // Nothing was begun: nothing is ended.
        await client.close()
        #expect(try await endpoint.seen().requests.isEmpty)
        _ = try await client.tools(within: time)
        await client.close()
        let seen = try await endpoint.seen()
        guard modes == "older" else {
            #expect(!seen.methods.contains("DELETE"))
            return
        }
        let last = try #require(seen.requests.last)
        #expect(last.method == "DELETE")
        #expect(last.headers["mcp-session-id"] == seen.requests[2].headers["mcp-session-id"])
        #expect(last.headers["mcp-protocol-version"] == "2025-06-18")
        #expect(last.headers["authorization"] == "Bearer one")
    }

    @Test("Headers are asked for at every use; without the Secret nothing is sent")
    func headers() async throws {
        let endpoint = server.endpoint("modern")
        let value = Mutex<[String: String]?>(["Authorization": "Bearer one"])
        let client = endpoint.client { value.withLock { $0 } }
        _ = try await client.tools(within: time)
        value.withLock { $0 = ["Authorization": "Bearer two\n"] }
        // Other credentials may see other tools.
        _ = try await client.tools(within: time)
        #expect(
            try await endpoint.seen().requests.compactMap { $0.headers["authorization"] } == [
                "Bearer one", "Bearer one", "Bearer two",
            ])
        for bad in [nil, ["Authorization": "a\nb"]] as [[String: String]?] {
            value.withLock { $0 = bad }
            #expect(await client.call(.book, arguments: "{}", within: time).outcome == .notSent)
            await #expect(throws: MCPError.self) { try await client.tools(within: time) }
        }
        #expect(try await endpoint.seen().requests.count == 3)
    }
}

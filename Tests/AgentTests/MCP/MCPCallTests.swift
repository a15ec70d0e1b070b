import Logging
import Memory
import Testing
import Transport

@testable import Agent

/// Calls of tools whose server behaves badly: what the model is told, and how often a tool is carried out.
@Suite struct MCPCallTests {
    private let server: StandInToolServer

    init() throws {
        server = try StandInToolServer.shared.get()
    }

    private let time = Duration.seconds(60)
    static let eras = ["modern", "older"]

    private func quiet() -> Logger {
        var logger = Logger(label: "tests")
        logger.logLevel = .critical
        return logger
    }

    @Test(
        "A call that isn't repeatable reaches the server once where its kept connection dies without an answer",
        arguments: eras)
    func once(era: String) async throws {
        let endpoint = server.endpoint("\(era),call-die-once")
        // A client of its own: all requests go over one connection.
        let http = HTTPClient(logger: quiet())
        let client = endpoint.client(http: http)
        #expect(await client.call(.book, arguments: "{}", within: time).outcome == .done)
        let second = await client.call(.book, arguments: "{}", within: time)
        #expect(second.outcome == .unknown)
        #expect(second.text.contains("not known"))
        let seen = try await endpoint.seen()
        #expect(seen.executions == ["book": 2])
        // In the older era the server may hear over another that nobody waits any more.
        #expect(seen.connections == 1 || era == "older")
        await http.shutdown()
    }

    @Test("A repeatable call is sent once more there, so the test above tests something", arguments: eras)
    func twice(era: String) async throws {
        let endpoint = server.endpoint("\(era),call-die-once")
        let http = HTTPClient(logger: quiet())
        let client = endpoint.client(http: http)
        #expect(await client.call(.put, arguments: "{}", within: time).outcome == .done)
        #expect(await client.call(.put, arguments: "{}", within: time).outcome == .done)
        let seen = try await endpoint.seen()
        #expect(seen.executions == ["put": 3])
        #expect(seen.connections == 2)
        await http.shutdown()
    }

    @Test(
        "What the model is told of a call",
        arguments: [
            ("text", ToolOutcome.done, #"book {"a": 1}"#),
            ("tool-error", .failed, "lost, says [redacted]"),
            ("refused", .failed, "no such parcel; you are [redacted]"), ("input", .failed, "person"),
            ("reset", .unknown, "before an answer came"), ("html", .unknown, "text/html"),
            ("garbage", .unknown, "JSON"),
            ("wrong-id", .unknown, "no answer to the request"), ("accepted", .unknown, "empty"),
            ("cut", .unknown, "without an answer"), ("large", .unknown, "too large"),
            ("large-stream", .unknown, "too large"), ("status403", .failed, "headersSecretRef"),
            ("status429", .failed, "429"), ("status502", .unknown, "502"), ("status504", .unknown, "504"),
            ("stream", .done, #"book {"a": 1}"#),
        ], eras)
    func outcomes(_ expected: (mode: String, outcome: ToolOutcome, words: String), era: String)
        async throws
    {
        let endpoint = server.endpoint("\(era),call-\(expected.mode)")
        let client = endpoint.client { ["Authorization": "Bearer sk-123456"] }
        let result = await client.call(.book, arguments: #"{"a": 1}"#, within: time)
        #expect(result.outcome == expected.outcome)
        #expect(result.text.contains(expected.words))
        #expect(!result.text.contains("sk-123456"))
        #expect(try await endpoint.seen().executions["book", default: 1] == 1)
    }

    @Test(
        "A stream of the older era that ends before its answer is taken up where it ended, and nothing is carried out twice",
        arguments: ["resume", "resume-reset", "resume-never"])
    func resumed(mode: String) async throws {
        let endpoint = server.endpoint("older,call-\(mode)")
        let result = await endpoint.client().call(.book, arguments: "{}", within: time)
        let seen = try await endpoint.seen()
        #expect(seen.executions == ["book": 1])
        let asked = seen.requests.filter { $0.method == "GET" }.map { $0.headers["last-event-id"] }
        if mode == "resume-never" {
            #expect(result.outcome == .unknown)
            #expect(asked == ["e1", "e1", "e1"])
        } else {
            #expect(result == ToolResult(.done, "after e2"))
            #expect(asked == ["e1", "e2"])
        }
    }

    @Test("A stream of the modern era that ends before its answer is not taken up again")
    func notResumed() async throws {
        let endpoint = server.endpoint("modern,call-resume")
        let result = await endpoint.client().call(.book, arguments: "{}", within: time)
        #expect(result.outcome == .unknown)
        #expect(try await endpoint.seen().methods == ["server/discover", "tools/call"])
    }

    @Test(
        "Progress is told while the tool works, and the server's own questions are refused",
        arguments: eras)
    func progress(era: String) async throws {
        let endpoint = server.endpoint("\(era),call-stream")
        let reports = ProgressReports()
        let result = await endpoint.client().call(.look, arguments: "{}", within: time) { reports.add($0) }
        #expect(result == ToolResult(.done, "look {}"))
        #expect(reports.all.map(\.message) == [nil, "nearly there"])
        #expect(reports.all.first == ToolProgress(progress: 1, total: 2))
        let answers = try await endpoint.seen().requests.filter { $0.method.isEmpty }.map(\.body)
        if era == "modern" {
            #expect(answers.isEmpty)
        } else {
            #expect(answers.map { $0["id"] } == ["q1", "q2"])
            #expect(answers.first?["error"]?["code"] == -32601)
        }
    }

    @Test(
        "A call that is not answered in time is unknown, and the server hears that nobody waits",
        arguments: eras)
    func late(era: String) async throws {
        let endpoint = server.endpoint("\(era),call-hang")
        let client = endpoint.client()
        _ = try await client.tools(within: time)
        let result = await client.call(.book, arguments: "{}", within: .milliseconds(500))
        #expect(result.outcome == .unknown)
        #expect(result.text.contains("in time"))
        #expect(
            try await endpoint.eventually {
                $0.left == 1 && $0.methods.contains("notifications/cancelled") == (era == "older")
            })
    }

    @Test(
        "Cancelling ends a call at once, before its answer or in the middle of it",
        arguments: ["call-hang", "call-hang-stream"], eras)
    func cancelled(mode: String, era: String) async throws {
        let endpoint = server.endpoint("\(era),\(mode)")
        let client = endpoint.client()
        let result = try await withThrowingTaskGroup(of: ToolResult.self) { group in
            group.addTask { await client.call(.book, arguments: "{}", within: self.time) }
            #expect(try await endpoint.eventually { $0.executions["book"] == 1 })
            group.cancelAll()
            return try await group.next()
        }
        #expect(result?.outcome == .unknown)
        #expect(
            try await endpoint.eventually {
                $0.left == 1 && $0.methods.contains("notifications/cancelled") == (era == "older")
            })
    }

    @Test("A call whose task was cancelled before, or whose time is up, is not sent")
    func neverSent() async throws {
        let endpoint = server.endpoint("modern")
        let client = endpoint.client()
        _ = try await client.tools(within: time)
        let cancelled = await withTaskGroup(of: ToolResult.self) { group in
            group.cancelAll()
            group.addTask { await client.call(.book, arguments: "{}", within: self.time) }
            return await group.next()
        }
        #expect(cancelled?.outcome == .notSent)
        #expect(await client.call(.book, arguments: "{}", within: .zero).outcome == .notSent)
        #expect(await client.call(.book, arguments: "{bad", within: time).outcome == .notSent)
        #expect(try await endpoint.seen().executions.isEmpty)
    }

    @Test("Without a connection nothing is sent")
    func unreachable() async throws {
        let client = MCPClient(
            name: "office", field: "spec.mcpServers[0]", url: "http://127.0.0.1:1/mcp", allow: nil,
            headers: { [:] }, http: server.http, logger: quiet())
        let result = await client.call(.book, arguments: "{}", within: time)
        #expect(result.outcome == .notSent)
        #expect(result.text.contains("spec.mcpServers[0].url"))
    }

    @Test("A call whose headers lack what a changed schema asks for is made once more with it")
    func mismatch() async throws {
        let endpoint = server.endpoint("call-mismatch")
        let client = endpoint.client()
        let old = Tool(name: "region", description: "", inputSchema: #"{"type":"object"}"#)
        let result = await client.call(old, arguments: #"{"region":"eu"}"#, within: time)
        #expect(result.outcome == .done)
        let seen = try await endpoint.seen()
        #expect(seen.executions == ["region": 1])
        #expect(seen.requests.last?.headers["mcp-param-region"] == "eu")
    }

    @Test("Many calls at one time each get their own answer", arguments: eras)
    func many(era: String) async throws {
        let endpoint = server.endpoint(era)
        let client = endpoint.client()
        await withTaskGroup(of: (Int, ToolResult).self) { group in
            for number in 0..<50 {
                group.addTask {
                    (number, await client.call(.book, arguments: #"{"n":\#(number)}"#, within: self.time))
                }
            }
            for await (number, result) in group {
                #expect(result == ToolResult(.done, #"book {"n": \#(number)}"#))
            }
        }
        let seen = try await endpoint.seen()
        #expect(seen.executions == ["book": 50])
        #expect(seen.methods.count { $0 == "server/discover" } == 1)
    }
}

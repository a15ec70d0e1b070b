import Testing

@testable import Agent

/// Which tools of a list are taken, and how long a list is kept.
@Suite struct ToolListingTests {
    private func listing(_ pages: [String], allow: [String]? = nil) throws -> (ToolListing, asked: [String]) {
        var listing = ToolListing(allow: allow, hiding: .none)
        var asked: [String] = []
        for page in pages {
            guard case .ask(let cursor) = try listing.add(page: page.bytes) else { break }
            asked.append(cursor)
        }
        return (listing, asked)
    }

    private func entry(_ name: String, _ more: String = #""inputSchema":{"type":"object"}"#) -> String {
        #"{"name":"\#(name)",\#(more)}"#
    }

    @Test("A tool comes with its schema as it stands and with its hints")
    func tool() throws {
        let text = """
            {"tools":[{"name":"a.b/c-d_1","title":"T","description":"D","inputSchema":{ "type": "object" },
            "annotations":{"title":"U","readOnlyHint":true,"idempotentHint":"yes","x":[1]},"icons":[{}]},
            {"name":"b","title":"T","inputSchema":{}}],"ttlMs":1500.5}
            """
        let (listing, _) = try listing([text])
        #expect(
            listing.tools == [
                Tool(
                    name: "a.b/c-d_1", description: "D", inputSchema: #"{ "type": "object" }"#,
                    isReadOnly: true),
                Tool(name: "b", description: "T", inputSchema: #"{"type":"object"}"#),
            ])
        #expect(listing.timeToLive == .milliseconds(1500))
        #expect(listing.warnings.isEmpty)
    }

    @Test("Tools that can't be used are left out with a reason, and the others stay")
    func leftOut() throws {
        let entries = [
            entry("good"), entry("text", #""inputSchema":"{}""#), entry("null", #""inputSchema":null"#),
            #"{"name":"bare"}"#, entry("two words"), entry(""), entry(String(repeating: "n", count: 129)),
            entry("good"), "7", #"{"inputSchema":{}}"#,
            entry("marked", #""inputSchema":{"items":{"x-mcp-header":"A"}}"#), entry("last"),
        ]
        let (listing, _) = try listing([#"{"tools":[\#(entries.joined(separator: ","))]}"#])
        #expect(listing.tools.map(\.name) == ["good", "last"])
        #expect(listing.warnings.filter { !$0.reason.isEmpty }.map(\.tool).contains("text"))
        #expect(
            Set(listing.warnings.map(\.tool)).isSuperset(of: ["text", "null", "bare", "two words", "marked"]))
    }

    @Test("Only tools of allow are taken, and a missing one is told")
    func allow() throws {
        let page = #"{"tools":[\#(entry("a")),\#(entry("b"))]}"#
        let (listing, _) = try listing([page], allow: ["b", "z"])
        #expect(listing.tools.map(\.name) == ["b"])
        #expect(listing.warnings.map(\.reason) == ["allow names tools that the server doesn't offer: z"])
    }

    @Test("A cursor that comes back ends the list")
    func loop() throws {
        func page(_ name: String, _ cursor: String) -> String {
            #"{"tools":[\#(entry(name))],"nextCursor":"\#(cursor)"}"#
        }
        let (listing, asked) = try listing([page("a", "x"), page("b", "y"), page("c", "x"), page("d", "z")])
        #expect(asked == ["x", "y"])
        #expect(listing.tools.map(\.name) == ["a", "b", "c"])
        #expect(listing.warnings.count == 1)
    }

    @Test("Pages, tools and bytes are bounded")
    func bounds() throws {
        let pages = (0..<200).map { #"{"tools":[\#(entry("t\($0)"))],"nextCursor":"\#($0)"}"# }
        #expect(try listing(pages).0.tools.count == ToolListing.maxPages)
        let many = (0..<600).map { entry("t\($0)") }.joined(separator: ",")
        let (listing, asked) = try listing([#"{"tools":[\#(many)],"nextCursor":"x"}"#])
        #expect(listing.tools.count == ToolListing.maxTools)
        #expect(asked.isEmpty)
        let long = #""inputSchema":{"x":""# + String(repeating: "x", count: 70_000) + "\"}"
        #expect(try self.listing([#"{"tools":[\#(entry("a", long))]}"#]).0.tools.isEmpty)
        let described = #""description":""# + String(repeating: "ü", count: 5000) + #"","inputSchema":{}"#
        let tool = try #require(try self.listing([#"{"tools":[\#(entry("a", described))]}"#]).0.tools.first)
        #expect(tool.description.utf8.count <= 4100)
    }

    @Test(
        "What is no list of tools is an error", arguments: ["[]", #"{"prompts":[]}"#, #"{"tools":{}}"#, "{"])
    func noList(_ page: String) {
        #expect(throws: JSONError.self) { try listing([page]) }
    }

    private let failure = MCPError(.unavailable, "gone")

    @Test("A listing is good for its time, and an older one stands in for a failed one for a while")
    func cache() throws {
        let headers = try SecretHeaders(["X-Key": "one"], of: .office)
        let others = try SecretHeaders(["X-Key": "two"], of: .office)
        let start = ContinuousClock.now
        var cache = ToolsCache()
        cache.listed([.look], timeToLive: nil, for: headers, begunAfter: 0, at: start)
        #expect(cache.known(for: headers, at: start + .seconds(59)) == .success([.look]))
        #expect(cache.known(for: others, at: start) == nil)
        let later = start + .seconds(60)
        #expect(cache.known(for: headers, at: later) == nil)
        #expect(cache.failed(failure, for: headers, at: later) == [.look])
        #expect(cache.known(for: headers, at: later + .seconds(4)) == .success([.look]))
        #expect(cache.known(for: headers, at: later + .seconds(5)) == nil)
        #expect(cache.failed(failure, for: others, at: later) == nil)
        #expect(cache.failed(failure, for: headers, at: start + .seconds(601)) == nil)
    }

    @Test(
        "After a failure nobody waits for a while, which grows with each further one and ends with a success")
    func failures() throws {
        let headers = try SecretHeaders([:], of: .office)
        var now = ContinuousClock.now
        var cache = ToolsCache()
        for seconds in [5, 10, 20, 40, 60, 60] {
            #expect(cache.failed(failure, for: headers, at: now) == nil)
            // Whoever waited for the same try fails with it.
            #expect(cache.failed(failure, for: headers, at: now) == nil)
            #expect(cache.known(for: headers, at: now + .seconds(seconds - 1)) == .failure(failure))
            now += .seconds(seconds)
            #expect(cache.known(for: headers, at: now) == nil)
        }
        cache.listed([.look], timeToLive: .zero, for: headers, begunAfter: 0, at: now)
        #expect(cache.known(for: headers, at: now) == nil)
        #expect(cache.failed(failure, for: headers, at: now) == [.look])
        #expect(cache.known(for: headers, at: now + .seconds(5)) == nil)
    }

    @Test("What a server says by itself makes a listing old and ends the pause after a failure")
    func heard() throws {
        let headers = try SecretHeaders([:], of: .office)
        let now = ContinuousClock.now
        var cache = ToolsCache()
        _ = cache.failed(failure, for: headers, at: now)
        cache.heard(0, at: now)
        #expect(cache.known(for: headers, at: now) == .failure(failure))
        cache.heard(1, at: now)
        #expect(cache.known(for: headers, at: now) == nil)
        cache.listed([.look], timeToLive: nil, for: headers, begunAfter: cache.changes, at: now)
        cache.heard(1, at: now)
        #expect(cache.known(for: headers, at: now) == .success([.look]))
        cache.heard(2, at: now)
        #expect(cache.known(for: headers, at: now) == nil)
    }

    @Test("A change makes a listing old, also one that was begun before it")
    func changes() throws {
        let headers = try SecretHeaders([:], of: .office)
        let now = ContinuousClock.now
        var cache = ToolsCache()
        cache.listed([.look], timeToLive: .seconds(9), for: headers, begunAfter: 0, at: now)
        cache.becameOld(at: now)
        #expect(cache.known(for: headers, at: now) == nil)
        cache.listed([.book], timeToLive: .seconds(9), for: headers, begunAfter: 0, at: now)
        #expect(cache.known(for: headers, at: now) == nil)
        cache.listed([.book], timeToLive: .seconds(9), for: headers, begunAfter: cache.changes, at: now)
        #expect(cache.known(for: headers, at: now) == .success([.book]))
    }

    @Test("A warning is heard once")
    func warnings() {
        var cache = ToolsCache()
        let warning = ToolListing.Warning(tool: "a", reason: "b")
        #expect(cache.unheard([warning]) == [warning])
        #expect(cache.unheard([warning]).isEmpty)
    }
}

import PoolAPI
import Testing

@testable import Agent

/// What the client says, without a server.
@Suite struct MCPRequestTests {
    private let session = MCPEra.session(MCPSession(revision: "2025-06-18", id: "s-1"))

    private func json(_ bytes: [UInt8]) throws -> JSONValue {
        var reader = JSONReader(bytes)
        let value = try reader.readValue()
        try reader.finish()
        return value
    }

    @Test("A call of the modern era says all about itself, and its headers say the same as its body")
    func modernCall() throws {
        let request = MCPRequest.call(.book, arguments: #"{"city": "Zürich"}"#.bytes)
        let body = try json(request.body(id: 7, era: .modern))
        #expect(body["id"] == 7)
        #expect(body["method"] == "tools/call")
        #expect(body["params"]?["name"] == "book")
        #expect(body["params"]?["arguments"]?["city"] == "Zürich")
        let meta = try #require(body["params"]?["_meta"])
        #expect(meta["progressToken"] == 7)
        #expect(meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28")
        #expect(meta["io.modelcontextprotocol/clientCapabilities"] == .object([:]))
        let headers = Dictionary(
            uniqueKeysWithValues: request.headers(era: .modern).map { ($0.name, $0.value) })
        #expect(headers["MCP-Protocol-Version"] == "2026-07-28")
        #expect(headers["Mcp-Method"] == "tools/call")
        #expect(headers["Mcp-Name"] == "book")
        #expect(headers["Accept"] == "application/json, text/event-stream")
        #expect(headers["MCP-Session-Id"] == nil)
    }

    @Test("A call of the older era carries its session and nothing of the modern era")
    func olderCall() throws {
        let request = MCPRequest.call(.book, arguments: "{}".bytes)
        let meta = try #require(try json(request.body(id: 7, era: session))["params"]?["_meta"])
        #expect(meta == .object(["progressToken": 7]))
        let headers = Dictionary(
            uniqueKeysWithValues: request.headers(era: session).map { ($0.name, $0.value) })
        #expect(headers["MCP-Session-Id"] == "s-1")
        #expect(headers["MCP-Protocol-Version"] == "2025-06-18")
        #expect(headers["Mcp-Method"] == nil)
    }

    @Test("The handshake names no revision in a header before one is agreed on")
    func handshake() throws {
        let body = try json(MCPRequest.initialize.body(id: 1, era: session))
        #expect(body["params"]?["protocolVersion"] == "2025-11-25")
        #expect(MCPRequest.initialize.headers(era: session).map(\.name) == ["Content-Type", "Accept"])
        let told = try json(MCPRequest.initialized.body(id: 2, era: session))
        #expect(told == .object(["jsonrpc": "2.0", "method": "notifications/initialized"]))
    }

    @Test("What the server asks of the client is refused under its own id, and a ping is answered")
    func answers() throws {
        let refusal = try json(
            MCPRequest.refuse(method: "roots/list", id: #""q\"1""#.bytes).body(id: 0, era: session))
        #expect(refusal["id"] == "q\"1")
        #expect(refusal["error"]?["code"] == -32601)
        #expect(refusal["method"] == nil)
        let pong = try json(MCPRequest.alive(id: "5".bytes).body(id: 0, era: session))
        #expect(pong == .object(["jsonrpc": "2.0", "id": 5, "result": .object([:])]))
    }

    @Test(
        "What a header can't hold stands there in base64",
        arguments: [
            ("us-west1", "us-west1"), ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="), ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ])
    func encoding(_ value: String, _ header: String) {
        #expect(HeaderText.encoded(value) == header)
    }

    @Test("Arguments that the schema marks stand in the headers too")
    func mirrored() throws {
        let schema = """
            {"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},
            "deep":{"properties":{"count":{"type":"integer","x-mcp-header":"Count"}}},
            "dry":{"type":"boolean","x-mcp-header":"Dry"},"other":{"type":"string"}}}
            """
        let mirrored = try MirroredArguments(schema: schema)
        let arguments = #"{"region":"Zürich","deep":{"count":42.0},"dry":null,"other":"x"}"#
        let headers = mirrored.headers(arguments: arguments.bytes).map { "\($0.name): \($0.value)" }
        #expect(headers == ["Mcp-Param-Count: 42", "Mcp-Param-Region: =?base64?WsO8cmljaA==?="])
    }

    @Test(
        "Marks that the protocol forbids make a tool unusable",
        arguments: [
            #"{"properties":{"n":{"type":"number","x-mcp-header":"N"}}}"#,
            #"{"properties":{"n":{"type":"string","x-mcp-header":"a b"}}}"#,
            #"{"properties":{"n":{"type":"string","x-mcp-header":""}}}"#,
            #"{"properties":{"n":{"type":"string","x-mcp-header":"N"},"m":{"type":"string","x-mcp-header":"n"}}}"#,
            #"{"properties":{"n":{"items":{"type":"string","x-mcp-header":"N"}}}}"#,
            #"{"x-mcp-header":"N"}"#,
        ])
    func forbiddenMarks(_ schema: String) {
        #expect(throws: MirroredArguments.Fault.self) { try MirroredArguments(schema: schema) }
    }

    @Test("Arguments that are no JSON object are not sent, and the model is told why and what the schema is")
    func arguments() throws {
        for text in ["{\"a\": ", "[1]", "\"text\"", "{} {}", "{'a': 1}", String(repeating: "[", count: 100)] {
            let fault = #expect(throws: CallArguments.Fault.self) {
                try CallArguments.read(text, for: .book)
            }
            #expect(fault?.text.contains(#"{"type":"object"}"#) == true)
        }
        #expect(try CallArguments.read(" \n", for: .book) == "{}".bytes)
        #expect(try CallArguments.read("null", for: .book) == "{}".bytes)
        #expect(try CallArguments.read(" {\"a\": 1}\n", for: .book) == "{\"a\": 1}".bytes)
        let long = "{\"a\":\"" + String(repeating: "x", count: CallArguments.maxBytes) + "\"}"
        #expect(throws: CallArguments.Fault.self) { try CallArguments.read(long, for: .book) }
    }
}

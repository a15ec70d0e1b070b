/// Writes the client's messages: bodies and headers, for either era of the protocol.

/// The revisions that this client speaks.
enum MCPRevision {
    /// Stateless: every request says all about itself.
    static let modern = "2026-07-28"
    /// What `initialize` asks for; a server may answer with an older one.
    static let newestOfSessions = "2025-11-25"
    static let ofSessions: Set<String> = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
}

/// How a server is spoken to.
enum MCPEra: Sendable, Equatable {
    case modern
    case session(MCPSession)
}

/// What `initialize` came to, in the older era.
struct MCPSession: Sendable, Equatable {
    let revision: String
    /// Sent with every request; nil where the server keeps no sessions.
    let id: String?
}

/// One message of the client.
enum MCPRequest: Sendable, Equatable {
    case discover
    case initialize
    case initialized
    case list(cursor: String?)
    /// - arguments: the text of a JSON object.
    case call(Tool, arguments: [UInt8])
    case cancelled(request: Int)
    /// Refuses what a server asks of the client.
    case refuse(method: String, id: [UInt8])
    /// Answers a server's `ping`.
    case alive(id: [UInt8])

    var method: String? {
        switch self {
        case .discover: "server/discover"
        case .initialize: "initialize"
        case .initialized: "notifications/initialized"
        case .list: "tools/list"
        case .call: "tools/call"
        case .cancelled: "notifications/cancelled"
        case .refuse, .alive: nil
        }
    }

    /// Whether the server owes an answer.
    private var isAsking: Bool {
        switch self {
        case .discover, .initialize, .list, .call: true
        case .initialized, .cancelled, .refuse, .alive: false
        }
    }

    /// The message as JSON.
    func body(id: Int, era: MCPEra) -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        writer.beginObject()
        writer.field("jsonrpc", "2.0")
        if isAsking { writer.field("id", id) }
        if let method { writer.field("method", method) }
        switch self {
        case .discover: writeParams(id: id, era: era, to: &writer) { _ in }
        case .initialize:
            writer.key("params")
            writer.beginObject()
            writer.field("protocolVersion", MCPRevision.newestOfSessions)
            writer.key("capabilities")
            writer.literal("{}")
            writer.key("clientInfo")
            writer.literal(Self.clientInfo)
            writer.endObject()
        case .initialized: break
        case .list(let cursor):
            writeParams(id: id, era: era, to: &writer) { if let cursor { $0.field("cursor", cursor) } }
        case .call(let tool, let arguments):
            writeParams(id: id, era: era, to: &writer) {
                $0.field("name", tool.name)
                $0.key("arguments")
                $0.raw(arguments)
            }
        case .cancelled(let request):
            writer.key("params")
            writer.beginObject()
            writer.field("requestId", request)
            writer.field("reason", "Nobody waits for the answer any more.")
            writer.endObject()
        case .refuse(let method, let id):
            writer.key("id")
            writer.raw(id)
            writer.key("error")
            writer.beginObject()
            writer.field("code", -32601)
            writer.field("message", "This client has no \(method.cut(to: 100).text).")
            writer.endObject()
        case .alive(let id):
            writer.key("id")
            writer.raw(id)
            writer.key("result")
            writer.literal("{}")
        }
        writer.endObject()
        return writer.bytes
    }

    private static let clientInfo: StaticString = #"{"name":"agentpool","version":"1"}"#

    private func writeParams(
        id: Int, era: MCPEra, to writer: inout JSONWriter, _ members: (inout JSONWriter) -> Void
    ) {
        var isCall = false
        if case .call = self { isCall = true }
        writer.key("params")
        writer.beginObject()
        members(&writer)
        if isCall || era == .modern {
            writer.key("_meta")
            writer.beginObject()
            if isCall { writer.field("progressToken", id) }
            if era == .modern {
                writer.field("io.modelcontextprotocol/protocolVersion", MCPRevision.modern)
                writer.key("io.modelcontextprotocol/clientInfo")
                writer.literal(Self.clientInfo)
                writer.key("io.modelcontextprotocol/clientCapabilities")
                writer.literal("{}")
            }
            writer.endObject()
        }
        writer.endObject()
    }

    /// The protocol's own headers.
    func headers(era: MCPEra) -> [(name: String, value: String)] {
        var headers = [
            (name: "Content-Type", value: "application/json"),
            (name: "Accept", value: "application/json, text/event-stream"),
        ]
        switch era {
        case .modern:
            headers.append(("MCP-Protocol-Version", MCPRevision.modern))
            if let method { headers.append(("Mcp-Method", method)) }
            if case .call(let tool, let arguments) = self {
                headers.append(("Mcp-Name", HeaderText.encoded(tool.name)))
                // A schema with faulty marks was left out when its tool was listed.
                if let mirrored = try? MirroredArguments(schema: tool.inputSchema) {
                    headers += mirrored.headers(arguments: arguments)
                }
            }
        case .session(let session):
            // What `initialize` will come to isn't known yet.
            if self == .initialize { break }
            headers.append(("MCP-Protocol-Version", session.revision))
            if let id = session.id { headers.append(("MCP-Session-Id", id)) }
        }
        return headers
    }
}

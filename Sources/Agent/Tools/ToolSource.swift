/// Where tools come from, as the engine sees it: it knows of no protocol.
import Logging
import PoolAPI
import Transport

/// A server of tools, as functions. Safe to use from any task.
public struct ToolSource: Sendable {
    /// As the manifest calls it.
    public var name: String
    /// How long one of its calls may take; nil: as long as the turn.
    public var callLimit: Duration?
    /// Its tools; throws where they can't be had within the time.
    public var list: @Sendable (_ within: Duration) async throws -> [Tool]
    /// Calls a tool with the model's arguments (JSON text, as it came). Never throws; obeys cancellation promptly.
    public var call: @Sendable (_ tool: Tool, _ arguments: String, _ within: Duration) async -> ToolResult

    public init(
        name: String, callLimit: Duration? = Self.callLimit,
        list: @escaping @Sendable (_ within: Duration) async throws -> [Tool],
        call: @escaping @Sendable (_ tool: Tool, _ arguments: String, _ within: Duration) async -> ToolResult
    ) {
        self.name = name
        self.callLimit = callLimit
        self.list = list
        self.call = call
    }
}

extension ToolSource {
    /// How long a call of a server's tool may take.
    public static let callLimit: Duration = .seconds(60)

    /// The servers that `spec.mcpServers` names, and the requests of the workflow.
    ///
    /// - Parameter headers: answers a Secret's keys, nil where there is none. Asked at every request.
    public static func all(
        of spec: AgentPoolSpec, headers: @escaping @Sendable (ObjectRef) -> [String: String]?,
        http: HTTPClient, logger: Logger
    ) -> [ToolSource] {
        let requests = HTTPCalls(of: spec.workflow?.nodes ?? [], headers: headers, http: http).source
        return [requests]
            + spec.mcpServers.enumerated().map { index, server in
                let client = MCPClient(
                    name: server.name, field: "spec.mcpServers[\(index)]", url: server.url,
                    allow: server.allow,
                    headers: { server.headersSecretRef.map(headers) ?? [:] }, http: http, logger: logger)
                let guarded = Set(server.requireApproval)
                return ToolSource(
                    name: server.name, callLimit: server.timeout.duration,
                    list: { limit in
                        try await client.tools(within: limit).map { tool in
                            var tool = tool
                            tool.needsApproval = guarded.contains(tool.name)
                            return tool
                        }
                    },
                    call: { await client.call($0, arguments: $1, within: $2, progress: { _ in }) })
            }
    }
}

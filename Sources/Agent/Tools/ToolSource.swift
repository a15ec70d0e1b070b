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
    /// Calls a tool with the model's arguments (JSON text, as it came). Never throws; obeys cancellation promptly. The last argument
    /// takes what the tool says while it works.
    public var call: Call
    /// Releases what the source holds at its server. Bounded in time; nothing is asked of the source afterwards.
    public var close: @Sendable () async -> Void

    public typealias Call =
        @Sendable (
            _ tool: Tool, _ arguments: String, _ within: Duration,
            _ progress: @escaping @Sendable (ToolProgress) -> Void
        ) async -> ToolResult

    public init(
        name: String, callLimit: Duration? = Self.callLimit,
        list: @escaping @Sendable (_ within: Duration) async throws -> [Tool],
        reporting call: @escaping Call, close: @escaping @Sendable () async -> Void = {}
    ) {
        self.name = name
        self.callLimit = callLimit
        self.list = list
        self.call = call
        self.close = close
    }

    /// A source whose calls say nothing before their result.
    public init(
        name: String, callLimit: Duration? = Self.callLimit,
        list: @escaping @Sendable (_ within: Duration) async throws -> [Tool],
        call: @escaping @Sendable (_ tool: Tool, _ arguments: String, _ within: Duration) async -> ToolResult
    ) {
        self.init(
            name: name, callLimit: callLimit, list: list,
            reporting: { tool, arguments, limit, _ in await call(tool, arguments, limit) })
    }
}

extension ToolSource {
    /// How long a call of a server's tool may take.
    public static let callLimit: Duration = .seconds(60)

    /// The servers that `spec.mcpServers` names, and the requests of the workflow. Processes among them are started when they are first
    /// needed.
    ///
    /// - Parameters:
    ///   - headers: answers a Secret's keys, nil where there is none. Asked at every request.
    ///   - redact: cuts out of what processes say what no log may hold.
    public static func all(
        of spec: AgentPoolSpec, headers: @escaping @Sendable (ObjectRef) -> [String: String]?,
        http: HTTPClient, logger: Logger, redact: @escaping @Sendable (String) -> String = { $0 }
    ) -> [ToolSource] {
        let requests = HTTPCalls(
            of: spec.workflow?.nodes ?? [], headers: headers, http: http, logger: logger)
        return servers(of: spec, headers: headers, http: http, logger: logger, redact: redact) + [
            requests.source
        ]
    }

    private static func servers(
        of spec: AgentPoolSpec, headers: @escaping @Sendable (ObjectRef) -> [String: String]?,
        http: HTTPClient, logger: Logger, redact: @escaping @Sendable (String) -> String
    ) -> [ToolSource] {
        spec.mcpServers.enumerated().map { index, server in
            let field = "spec.mcpServers[\(index)]"
            let client =
                if let command = server.command {
                    MCPClient(
                        name: server.name, field: field, command: command, variables: server.env ?? [:],
                        allow: server.allow, logger: logger, redact: redact)
                } else {
                    MCPClient(
                        name: server.name, field: field,
                        // Without a command the manifest has one.
                        url: server.url ?? "", allow: server.allow,
                        headers: { server.headersSecretRef.map(headers) ?? [:] }, http: http, logger: logger)
                }
            let guarded = GuardedTools(server.requireApproval, field: field, logger: logger)
            return ToolSource(
                name: server.name, callLimit: server.timeout.duration,
                list: { guarded.marked(try await client.tools(within: $0)) },
                reporting: { await client.call($0, arguments: $1, within: $2, progress: $3) },
                close: { await client.close() })
        }
    }

    /// Releases what the sources hold, all at once.
    public static func close(_ sources: [ToolSource]) async {
        await withDiscardingTaskGroup { group in
            for source in sources { group.addTask { await source.close() } }
        }
    }
}

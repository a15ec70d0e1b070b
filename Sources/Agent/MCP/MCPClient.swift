/// Owns what is known of one server of tools, its era and its list, and calls its tools.

import Logging
import Synchronization
import Transport

/// A client of one server of the Model Context Protocol, over streamable HTTP or over the pipes of a process, in either era of the
/// protocol.
///
/// Safe to use from any task. Which era the server speaks is found with the first use and looked at again when an answer
/// says that it changed; a session that the server has lost is begun anew.
public final class MCPClient: Sendable {
    /// The most bytes of an answer to a call that are read.
    static let maxAnswerBytes = 1 << 20

    private static let longestTime = Duration.seconds(86_400)

    struct State {
        var era = ServerEra()
        var cache = ToolsCache()
    }

    let transport: any MCPTransport
    let allow: [String]?
    private let currentHeaders: @Sendable () throws(MCPError) -> SecretHeaders
    let logger: Logger
    let state = Mutex(State())
    let lastID = Atomic<Int>(0)
    let eraSearch: SharedWork<MCPEra>
    let listing: SharedWork<[Tool]>

    var server: MCPServerName { transport.server }

    /// A client of a server at an address.
    ///
    /// - Parameters:
    ///   - name: the server's name in the manifest.
    ///   - field: its place there, such as `spec.mcpServers[0]`; errors name it.
    ///   - allow: the tools that agents see; nil for all.
    ///   - headers: the current headers of the server's Secret, nil where the Secret is missing. Asked at every use.
    public convenience init(
        name: String, field: String, url: String, allow: [String]?,
        headers: @escaping @Sendable () -> [String: String]?, http: HTTPClient, logger: Logger
    ) {
        let server = MCPServerName(name: name, field: field)
        self.init(
            MCPEndpoint(server: server, url: url, http: http), allow: allow,
            headers: { () throws(MCPError) in try SecretHeaders(headers(), of: server) }, logger: logger)
    }

    /// A client of a server that is a process of this machine, started when it is first asked.
    ///
    /// - Parameters:
    ///   - command: the program, looked up in `PATH`, and its arguments. No shell reads it.
    ///   - variables: of its environment, beside those that every such process has.
    ///   - redact: cuts out of what it says what no log may hold; applied before a text is cut to length.
    public convenience init(
        name: String, field: String, command: [String], variables: [String: String], allow: [String]?,
        logger: Logger, redact: @escaping @Sendable (String) -> String = { $0 }
    ) {
        let environment = ProcessEnvironment(variables, redact: redact)
        let process = MCPProcess(
            server: MCPServerName(name: name, field: field, isProcess: true), command: command,
            environment: environment, logger: logger)
        self.init(
            process, allow: allow, headers: { SecretHeaders(hiding: environment.secrets) }, logger: logger)
    }

    init(
        _ transport: any MCPTransport, allow: [String]?,
        headers: @escaping @Sendable () throws(MCPError) -> SecretHeaders, logger: Logger
    ) {
        let server = transport.server
        self.transport = transport
        self.allow = allow
        currentHeaders = headers
        self.logger = logger
        eraSearch = SharedWork(server: server)
        listing = SharedWork(server: server)
    }

    /// The server's tools that agents may see, in its order.
    ///
    /// Kept for as long as the server allows, or for a minute. One listing runs at a time, and whoever comes meanwhile
    /// waits for it. Where it fails, the tools of an older one are answered for ten minutes; the next try is made after a pause that
    /// grows with each failure (``ToolsCache``), and until then nobody waits.
    ///
    /// - Parameter time: a process that has to start may take longer.
    public func tools(within time: Duration) async throws(MCPError) -> [Tool] {
        let deadline = ContinuousClock.now + min(max(time, transport.startTime ?? time), Self.longestTime)
        let headers = try currentHeaders()
        if let tools = try known(for: headers) { return tools }
        do throws(MCPError) {
            return try await listing.run(until: deadline) { () async throws(MCPError) -> [Tool] in
                if let tools = try self.known(for: headers) { return tools }
                do throws(MCPError) {
                    return try await self.list(headers, until: deadline)
                } catch {
                    return try self.standIn(for: error, headers)
                }
            }
        } catch {
            return try standIn(for: error, headers)
        }
    }

    /// Calls a tool. Never throws: what went wrong is a result for the model.
    ///
    /// A call that isn't repeatable reaches the server once at most. Cancelling the task ends the call at once; a server of
    /// the modern era takes the end of the connection for a cancellation.
    ///
    /// - Parameters:
    ///   - arguments: the model's JSON text, as it came.
    ///   - time: for everything, the search for the server's era included.
    ///   - progress: takes what the tool says while it works.
    public func call(
        _ tool: Tool, arguments: String, within time: Duration,
        progress: @escaping @Sendable (ToolProgress) -> Void = { _ in }
    ) async -> ToolResult {
        let deadline = ContinuousClock.now + min(time, Self.longestTime)
        do {
            let headers = try currentHeaders()
            guard allow?.contains(tool.name) ?? true else {
                return ToolResult(
                    .notSent, "The tool \(tool.name) was not called: \(server.field).allow doesn't name it.")
            }
            let arguments = try CallArguments.read(arguments, for: tool)
            let call = Call(
                tool: tool, arguments: arguments, headers: headers, deadline: deadline, progress: progress)
            let result = await perform(call)
            if result.outcome == .unknown {
                logger.warning(
                    "What became of a tool's call is not known",
                    metadata: ["server": "\(server.name)", "tool": "\(tool.name)"])
            }
            return result
        } catch let fault as CallArguments.Fault {
            return ToolResult(.notSent, fault.text)
        } catch {
            return ToolResult(.notSent, "The tool \(tool.name) was not called. \(error)")
        }
    }

    /// Ends the server's session, or its process. Takes some seconds at most; nothing is asked of the client afterwards.
    public func close() async {
        // Without its Secret nothing can be said to a server at an address.
        await transport.close(era: knownEra, headers: try? currentHeaders())
    }
}

import Foundation
import Logging
import PoolAPI
import Subprocesses
import Synchronization
import Transport

@testable import Agent

/// The stand-in tool server of `Fixtures/mcp_server.py` as a process, and the real HTTP client that reaches it. One of each
/// serves all tests.
struct StandInToolServer: Sendable {
    static let shared = Result { try StandInToolServer() }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    let port: Int
    let http: HTTPClient
    private let process: Subprocess

    private init() throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "Fixtures/mcp_server.py")
        process = try Subprocess(["python3", script.path])
        let line = process.line() ?? ""
        guard let port = Int(line.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw Failure(description: "the stand-in tool server did not start: \(line)")
        }
        self.port = port
        var quiet = Logger(label: "tests")
        quiet.logLevel = .critical
        http = HTTPClient(logger: quiet)
    }

    /// An endpoint of its own that behaves in these modes.
    func endpoint(_ modes: String) -> Endpoint {
        Endpoint(server: self, name: "t\(UInt64.random(in: .min ... .max))", modes: modes)
    }

    /// One endpoint of the server and a client for it.
    struct Endpoint: Sendable {
        let server: StandInToolServer
        let name: String
        let modes: String

        var url: String { "http://127.0.0.1:\(server.port)/\(name)/\(modes)" }

        func client(
            allow: [String]? = nil, http: HTTPClient? = nil, logs: LogLines = LogLines(),
            headers: @escaping @Sendable () -> [String: String]? = { [:] }
        ) -> MCPClient {
            MCPClient(
                name: "office", field: "spec.mcpServers[0]", url: url, allow: allow, headers: headers,
                http: http ?? server.http, logger: logs.logger)
        }

        /// What the server has seen.
        struct Seen: Decodable {
            struct Request: Decodable {
                var method: String
                var headers: [String: String]
                var body: JSONValue
            }

            var requests: [Request]
            var executions: [String: Int]
            var left: Int
            var connections: Int

            var methods: [String] { requests.map(\.method) }
        }

        func seen() async throws -> Seen {
            let request = HTTPRequest(url: "http://127.0.0.1:\(server.port)/\(name)")
            let body = try await server.http.execute(request).body.collect(upTo: 1 << 24)
            return try JSONDecoder().decode(Seen.self, from: Data(body))
        }

        /// Asks until `condition` holds: the server learns of a closed connection a moment after it closed.
        func eventually(_ condition: (Seen) -> Bool) async throws -> Bool {
            for _ in 0..<500 {
                if condition(try await seen()) { return true }
                try await Task.sleep(for: .milliseconds(10))
            }
            return false
        }

        /// Makes it forget its sessions, as a restart does.
        func forgetSessions() async throws { try await post("forget") }

        /// Makes it behave in other modes from now on, whatever its address says.
        func become(_ modes: String) async throws { try await post("become/\(modes)") }

        private func post(_ what: String) async throws {
            let url = "http://127.0.0.1:\(server.port)/\(name)/\(what)"
            _ = try await server.http.execute(HTTPRequest(method: "POST", url: url, body: [])).body
                .collect(upTo: 1024)
        }
    }
}

/// What was logged, as one text a line.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var logger: Logger {
        Logger(label: "tests") { _ in Handler(lines: self) }
    }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = "\(event.level) \(event.message) \(event.metadata ?? [:])"
            lines.lines.withLock { $0.append(line) }
        }
    }
}

/// What a tool said while it worked.
final class ProgressReports: Sendable {
    private let reports = Mutex<[ToolProgress]>([])

    var all: [ToolProgress] { reports.withLock { $0 } }

    func add(_ report: ToolProgress) {
        reports.withLock { $0.append(report) }
    }
}

extension Tool {
    static let look = Tool(
        name: "look", description: "", inputSchema: #"{"type":"object"}"#, isReadOnly: true)
    /// Not repeatable.
    static let book = Tool(name: "book", description: "", inputSchema: #"{"type":"object"}"#)
    static let put = Tool(
        name: "put", description: "", inputSchema: #"{"type":"object"}"#, isIdempotent: true)
}

extension MCPServerName {
    static let office = MCPServerName(name: "office", field: "spec.mcpServers[0]")
}

extension String {
    var bytes: [UInt8] { Array(utf8) }
}

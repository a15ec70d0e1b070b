import Foundation
import Logging

@testable import Agent

/// The stand-in of `Fixtures/stdio_server.py`, as the client starts it.
struct StandInToolProcess {
    static let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/stdio_server.py").path

    /// - Parameter modes: how the server behaves, apart by spaces.
    static func client(
        _ modes: String = "", variables: [String: String] = [:], allow: [String]? = nil,
        logs: LogLines = LogLines(), redact: @escaping @Sendable (String) -> String = { $0 }
    ) -> MCPClient {
        MCPClient(
            name: "office", field: "spec.mcpServers[0]",
            command: ["python3", script] + modes.split(separator: " ").map(String.init),
            variables: variables, allow: allow, logger: logs.logger, redact: redact)
    }

    static func tool(_ name: String) -> Tool {
        Tool(name: name, description: "", inputSchema: #"{"type":"object"}"#, isReadOnly: name == "look")
    }

    /// Whether a process is there and has not ended.
    static func lives(_ pid: Int) -> Bool { group(of: pid) != nil }

    /// The processes of a group that have not ended.
    static func members(ofGroup number: Int) -> [Int] {
        // Without the folder no process could be seen, and the test would fail.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? ["\(number)"]
        return names.compactMap { Int($0) }.filter { group(of: $0) == number }
    }

    /// The group of a process; nil where there is none, or it has ended.
    private static func group(of pid: Int) -> Int? {
        // A process that has gone has no file.
        guard let status = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else {
            return nil
        }
        let fields = status.split(separator: ")").last?.split(separator: " ") ?? []
        return fields.count > 2 && fields[0] != "Z" ? Int(fields[2]) : nil
    }
}

/// What the tool `where` tells of its process.
struct ProcessPlace: Decodable {
    var environment: [String: String]
    var files: [String]
    var pid: Int
    var group: Int

    init(_ result: ToolResult) throws {
        self = try JSONDecoder().decode(ProcessPlace.self, from: Data(result.text.utf8))
    }
}

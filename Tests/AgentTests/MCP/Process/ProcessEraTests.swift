import Logging
import Synchronization
import Testing
import Transport

@testable import Agent

/// How the era of a server is found whose transport has no statuses: from answers, from silence, and from its end.
@Suite struct ProcessEraTests {
    /// A way to a server whose answers are written down.
    private final class ScriptedTransport: MCPTransport {
        let server = MCPServerName(name: "office", field: "spec.mcpServers[0]", isProcess: true)
        let changes = 0
        let startTime: Duration? = nil
        let mayIgnoreDiscovery = true
        private let script: Mutex<[MCPReply]>
        private let asked = Mutex<[String]>([])

        init(_ script: [MCPReply]) {
            self.script = Mutex(script)
        }

        var methods: [String] { asked.withLock { $0 } }

        func ask(
            _ asking: MCPAsking, heard: (ReplyReader.Item) async -> Void
        ) async -> (reply: MCPReply, sessionID: String?) {
            note(asking.request)
            return (script.withLock { $0.isEmpty ? .ended : $0.removeFirst() }, "process 1")
        }

        func tell(
            _ request: MCPRequest, era: MCPEra, headers: SecretHeaders,
            until deadline: ContinuousClock.Instant
        ) async throws(TransportError) -> Int {
            note(request)
            return 202
        }

        func takeBack(_ id: Int, era: MCPEra, headers: SecretHeaders) {}
        func close(era: MCPEra?, headers: SecretHeaders?) async {}

        private func note(_ request: MCPRequest) {
            asked.withLock { $0.append(request.method ?? "") }
        }
    }

    private static let modern = MCPReply.result(#"{"supportedVersions":["2026-07-28"]}"#.bytes)
    private static let older = MCPReply.result(#"{"protocolVersion":"2025-06-18"}"#.bytes)
    private static let tools = MCPReply.result(#"{"tools":[]}"#.bytes)
    private static func broken(_ kind: TransportError.Kind) -> MCPReply { .broken(TransportError(kind, "")) }
    private static func error(_ code: Int) -> MCPReply { .error(MCPServerError(code: code), status: 200) }

    private static let older5 = [
        "server/discover", "initialize", "notifications/initialized", "tools/list",
    ]

    @Test(
        "The first question's answer decides; silence and an end over it are taken for the older era",
        arguments: [
            ([modern, tools], ["server/discover", "tools/list"]),
            ([error(-32601), older, tools], older5), ([error(-32602), older, tools], older5),
            ([broken(.timeout(.total)), older, tools], older5), ([broken(.reset), older, tools], older5),
            // It was slow to start, and has taken the first question since.
            (
                [broken(.timeout(.total)), error(-32022), modern, tools],
                ["server/discover", "initialize", "server/discover", "tools/list"]
            ),
        ] as [([MCPReply], [String])])
    func era(script: [MCPReply], methods: [String]) async throws {
        let transport = ScriptedTransport(script)
        let client = MCPClient(
            transport, allow: nil, headers: { () throws(MCPError) in SecretHeaders(hiding: .none) },
            logger: LogLines().logger)
        #expect(try await client.tools(within: .seconds(60)).isEmpty)
        #expect(transport.methods == methods)
    }

    @Test("A call for which no process is found again was not sent, and says why")
    func notFoundAgain() async throws {
        let late = Self.broken(.timeout(.total))
        let transport = ScriptedTransport([
            Self.error(-32601), Self.older, Self.tools,
            .refused(status: 404, text: nil, location: nil), late, late,
        ])
        let client = MCPClient(
            transport, allow: nil, headers: { () throws(MCPError) in SecretHeaders(hiding: .none) },
            logger: LogLines().logger)
        _ = try await client.tools(within: .seconds(60))
        let result = await client.call(.book, arguments: "{}", within: .seconds(60))
        #expect(result.outcome == .notSent)
        #expect(result.text.contains("spec.mcpServers[0].command"))
    }

    @Test("A program that can't be started has no era", arguments: [TransportError.Kind.connect, .cancelled])
    func failed(kind: TransportError.Kind) async {
        let transport = ScriptedTransport([Self.broken(kind)])
        let client = MCPClient(
            transport, allow: nil, headers: { () throws(MCPError) in SecretHeaders(hiding: .none) },
            logger: LogLines().logger)
        await #expect(throws: MCPError.self) { try await client.tools(within: .seconds(60)) }
        #expect(transport.methods == ["server/discover"])
    }
}

import Agent
import Synchronization

/// A server of tools that keeps a ledger: `look_up` changes nothing, `confirm` may be called again, `book` may not.
final class ToolDesk: Sendable {
    struct Entry: Sendable, Equatable {
        var tool: String
        var arguments: String
    }

    private let calls = Mutex<[Entry]>([])
    private let running = Mutex((now: 0, most: 0))
    private let answer: @Sendable (Entry) async -> ToolResult

    /// - Parameter answer: what the tools say; they echo their arguments where it is left out.
    init(
        answer: @escaping @Sendable (Entry) async -> ToolResult = {
            ToolResult(.done, "\($0.tool) \($0.arguments)")
        }
    ) {
        self.answer = answer
    }

    var ledger: [Entry] { calls.withLock { $0 } }
    var mostAtOnce: Int { running.withLock(\.most) }

    static let tools = [
        Tool(
            name: "look_up", description: "Looks up an order.",
            inputSchema: #"{"type":"object","properties":{"id":{"type":"integer"}}}"#, isReadOnly: true),
        Tool(
            name: "confirm", description: "Confirms an order.", inputSchema: #"{"type":"object"}"#,
            isIdempotent: true),
        Tool(name: "book", description: "Books a parcel.", inputSchema: #"{"type":"object"}"#),
        // Named as a hand-off would be.
        Tool(name: "transfer_to_account", description: "Moves money.", inputSchema: #"{"type":"object"}"#),
    ]

    var source: ToolSource { source() }

    /// - Parameter guarded: the tools that a person has to approve.
    func source(guarded: Set<String> = []) -> ToolSource {
        let tools = Self.tools.map { tool in
            var tool = tool
            tool.needsApproval = guarded.contains(tool.name)
            return tool
        }
        return ToolSource(name: "desk", list: { _ in tools }) { tool, arguments, _ in
            await self.call(Entry(tool: tool.name, arguments: arguments))
        }
    }

    private func call(_ entry: Entry) async -> ToolResult {
        calls.withLock { $0.append(entry) }
        running.withLock { running in
            running.now += 1
            running.most = max(running.most, running.now)
        }
        defer { running.withLock { $0.now -= 1 } }
        return await answer(entry)
    }
}

struct Refused: Error {}

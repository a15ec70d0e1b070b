/// Where tools come from, as the engine sees it: it knows of no protocol.

/// A server of tools, as functions. Safe to use from any task.
public struct ToolSource: Sendable {
    /// As the manifest calls it.
    public var name: String
    /// Its tools; throws where they can't be had within the time.
    public var list: @Sendable (_ within: Duration) async throws -> [Tool]
    /// Calls a tool with the model's arguments (JSON text, as it came). Never throws; obeys cancellation promptly.
    public var call: @Sendable (_ tool: Tool, _ arguments: String, _ within: Duration) async -> ToolResult

    public init(
        name: String, list: @escaping @Sendable (_ within: Duration) async throws -> [Tool],
        call: @escaping @Sendable (_ tool: Tool, _ arguments: String, _ within: Duration) async -> ToolResult
    ) {
        self.name = name
        self.list = list
        self.call = call
    }
}

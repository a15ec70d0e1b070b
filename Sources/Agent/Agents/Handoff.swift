/// Hand-offs: the functions by which a model gives the conversation to another of the pool's agents.
import Memory

/// One agent to which another may hand over.
struct Handoff: Sendable, Equatable {
    /// The agent that takes over.
    var agent: String
    var description: String

    /// Hand-offs of one turn; then whoever speaks must answer.
    static let maximumInTurn = 8
    /// The name under which clients of agent frameworks know such functions.
    static let prefix = "transfer_to_"

    /// As a tool that changes nothing: who goes on with a turn may do it again.
    var tool: Tool {
        Tool(
            name: Self.prefix + agent,
            description: "Hands the conversation over to \(agent), who answers in your place from then on."
                + (description.isEmpty ? "" : " What \(agent) is for: \(description)"),
            inputSchema:
                #"{"type":"object","properties":{"reason":{"type":"string","description":"Why, in a few words."}}}"#,
            isReadOnly: true)
    }

    var result: ToolResult {
        var result = ToolResult(.done, "\(agent) has the conversation now.")
        result.newAgent = agent
        return result
    }

    /// What comes of a second hand-off in the same reply.
    static func late(after agent: String) -> ToolResult {
        ToolResult(.notSent, "This was not done: \(agent) has the conversation already.")
    }

    /// How many stand in the steps of a turn.
    static func count(in messages: some Collection<Message>) -> Int {
        messages.count { $0.newAgent != nil }
    }
}

/// What agents know of a function that their models may call, and of what came of a call.
import Memory

/// A function as its server describes it.
public struct Tool: Sendable, Hashable {
    /// As its server calls it.
    public var name: String
    public var description: String
    /// The JSON Schema of its arguments: the text of a JSON object.
    public var inputSchema: String
    /// It changes nothing (`readOnlyHint` of the Model Context Protocol).
    public var isReadOnly: Bool
    /// Called again with equal arguments it changes nothing more (`idempotentHint`).
    public var isIdempotent: Bool
    /// It is called only after a person agreed.
    public var needsApproval: Bool

    public init(
        name: String, description: String, inputSchema: String, isReadOnly: Bool = false,
        isIdempotent: Bool = false, needsApproval: Bool = false
    ) {
        self.name = name
        self.description = description
        self.inputSchema = inputSchema
        self.isReadOnly = isReadOnly
        self.isIdempotent = isIdempotent
        self.needsApproval = needsApproval
    }

    /// A call of which nobody knows whether it took effect may be made again.
    public var isRepeatable: Bool { isReadOnly || isIdempotent }
}

/// What came of a call. It is told to the model, also where it is an error: that is no failure of the turn.
public struct ToolResult: Sendable, Hashable {
    public var outcome: ToolOutcome
    /// For the model. Holds no secret; bounded by whoever made the call.
    public var text: String
    /// Of the models that were asked for it.
    public var usage: TokenUsage
    /// The agent that has the conversation now, where the call handed it over.
    public var newAgent: String?
    /// Whose text it is, where it is a skill's.
    public var skillText: SkillText?

    public init(_ outcome: ToolOutcome, _ text: String, usage: TokenUsage = TokenUsage()) {
        self.outcome = outcome
        self.text = text
        self.usage = usage
    }
}

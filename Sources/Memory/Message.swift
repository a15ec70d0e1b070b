/// What one party said: the unit that prompts, turns and histories are made of, in the field names of OpenAI's chat API.
public struct Message: Codable, Hashable, Sendable {
    public enum Role: String, Codable, Sendable {
        case system, user, assistant, tool
    }

    public var role: Role
    /// Plain text. Empty where an assistant message only carries tool calls.
    public var content: String
    /// The participant's name, where the client gave one.
    public var name: String?
    /// Calls the model asked for; only on assistant messages.
    public var toolCalls: [ToolCall]?
    /// The call that this message answers; only on tool messages.
    public var toolCallID: String?
    /// How that call ended; only on the answers of the pool's own tools.
    public var toolOutcome: ToolOutcome?
    /// The agent that has the conversation from this answer on; only where the call handed it over.
    public var newAgent: String?
    /// Whose text the content is; only on answers that hold a skill's. They are no part of what is remembered.
    public var skillText: SkillText?
    /// The node of the workflow that said it, and how many times it had run: `talk/1`. Only on what is not a turn's last word.
    public var node: String?

    public init(
        role: Role, content: String, name: String? = nil, toolCalls: [ToolCall]? = nil,
        toolCallID: String? = nil, toolOutcome: ToolOutcome? = nil, newAgent: String? = nil,
        skillText: SkillText? = nil, node: String? = nil
    ) {
        self.role = role
        self.content = content
        self.name = name
        self.toolCalls = toolCalls
        self.toolCallID = toolCallID
        self.toolOutcome = toolOutcome
        self.newAgent = newAgent
        self.skillText = skillText
        self.node = node
    }

    enum CodingKeys: String, CodingKey {
        case role, content, name, node
        case toolCalls = "tool_calls"
        case toolCallID = "tool_call_id"
        case toolOutcome = "tool_outcome"
        case newAgent = "new_agent"
        case skillText = "skill_text"
    }
}

/// How the call of a tool ended.
public enum ToolOutcome: String, Codable, Sendable {
    /// The tool did what it was asked.
    case done
    /// The tool says that it failed, or its server refused the call.
    case failed
    /// Nothing of the call reached the server.
    case notSent = "not_sent"
    /// The call was sent and no answer came: whether it took effect is not known.
    case unknown
    /// A person did not approve the call: it was not made.
    case refused
}

/// Which text of a skill's folder a message holds.
public struct SkillText: Codable, Hashable, Sendable {
    /// The skill's name in the manifest.
    public var skill: String
    /// The file below the skill's folder; nil: the skill's own text.
    public var path: String?
    /// Changes with the text; nil where the message holds only a part of it.
    public var version: String?

    public init(skill: String, path: String? = nil, version: String? = nil) {
        self.skill = skill
        self.path = path
        self.version = version
    }
}

/// A function call that a model asked for. `arguments` is the model's JSON text, kept as it came.
public struct ToolCall: Codable, Hashable, Sendable {
    public var id: String
    public var name: String
    public var arguments: String
    /// Whether a person has approved it; nil where nobody is asked.
    public var approval: CallApproval?
    /// True: of a function that the turn's client brought, and carries out itself. Never false.
    public var byClient: Bool?

    public init(
        id: String, name: String, arguments: String, approval: CallApproval? = nil, byClient: Bool? = nil
    ) {
        self.id = id
        self.name = name
        self.arguments = arguments
        self.approval = approval
        self.byClient = byClient
    }

    enum CodingKeys: String, CodingKey {
        case id, name, arguments, approval
        case byClient = "by_client"
    }
}

/// How far the approval of a call is. What is refused is answered by that, and needs no mark.
public enum CallApproval: String, Codable, Sendable {
    case awaited, approved
}

/// Tokens that the model's server counted (or, from a server that reports none, an estimate).
public struct TokenUsage: Codable, Hashable, Sendable {
    public var promptTokens: Int
    public var completionTokens: Int
    public var totalTokens: Int { promptTokens + completionTokens }

    public init(promptTokens: Int = 0, completionTokens: Int = 0) {
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
    }

    public static func + (one: TokenUsage, other: TokenUsage) -> TokenUsage {
        TokenUsage(
            promptTokens: one.promptTokens + other.promptTokens,
            completionTokens: one.completionTokens + other.completionTokens)
    }
}

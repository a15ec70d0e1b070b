/// What the engine asks of a chat model: a reply that streams, and the summary of a batch of turns.
import Memory

/// A model that agents talk to. Implementations: ``OpenAIChatModel``, ``BuiltinChatModel``.
public protocol ChatModel: Sendable {
    /// Starts a reply; returns when the model has accepted the request. Obeys cancellation.
    func open(_ request: ChatRequest) async throws(ModelError) -> any ChatReply

    /// Sums up turns for the long-term memory. Obeys cancellation.
    func summarize(_ request: SummaryRequest) async throws(SummaryFailure) -> BatchSummary
}

/// A reply on its way. One consumer; letting go of it ends the call and frees its connection.
public protocol ChatReply {
    /// The deltas that arrived since the last call, never an empty array; nil when the reply is whole.
    ///
    /// A whole reply had exactly one `.finish`. One that breaks off throws.
    mutating func next() async throws(ModelError) -> [ChatDelta]?
}

/// One question to a model: the prompt's parts, unrendered, and how to sample.
public struct ChatRequest: Sendable {
    public var prompt: Prompt
    /// What the model may call.
    public var functions: [ChatFunction]
    /// Whether it may call them, or must.
    public var choice: FunctionChoice
    /// Whether one reply may call several; nil leaves that to the model's server.
    public var callsInParallel: Bool?
    public var sampling: SamplingOverrides
    /// How long the whole reply may take. A model that waits for a server gives up then, with `.timeout`: the connection's
    /// own clock costs a turn nothing, where a timer of its own would outlive it.
    public var timeout: Duration?

    public init(
        prompt: Prompt, functions: [ChatFunction] = [], choice: FunctionChoice = .auto,
        callsInParallel: Bool? = nil, sampling: SamplingOverrides = SamplingOverrides(),
        timeout: Duration? = nil
    ) {
        self.prompt = prompt
        self.functions = functions
        self.choice = choice
        self.callsInParallel = callsInParallel
        self.sampling = sampling
        self.timeout = timeout
    }
}

/// A function as a model is told of it.
public struct ChatFunction: Sendable, Equatable {
    /// Letters, digits, `_` and `-`, 64 at most.
    public var name: String
    public var description: String
    /// A JSON Schema: the text of a JSON object.
    public var parameters: String
    /// Whether the model's server holds its calls to the schema; nil leaves that to the server.
    public var isStrict: Bool?

    public init(name: String, description: String, parameters: String, isStrict: Bool? = nil) {
        self.name = name
        self.description = description
        self.parameters = parameters
        self.isStrict = isStrict
    }

    static let maximumNameBytes = 64

    /// Whether OpenAI's API takes it for a function's name.
    public static func isName(_ text: String) -> Bool {
        (1...maximumNameBytes).contains(text.utf8.count) && text.utf8.allSatisfy(isOfName)
    }

    static func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// What a reply may do with the functions that it is shown: `tool_choice` of OpenAI's API.
public enum FunctionChoice: Sendable, Equatable {
    case auto
    /// Answer in words.
    case none
    /// Call one at least.
    case required
    /// Call the one of this name.
    case function(String)
}

/// What a client may set for one turn; each goes before the manifest's parameter of the same meaning.
public struct SamplingOverrides: Sendable, Equatable {
    public var temperature: Double?
    public var topP: Double?
    public var maxTokens: Int?
    public var stop: [String]

    public init(temperature: Double? = nil, topP: Double? = nil, maxTokens: Int? = nil, stop: [String] = []) {
        self.temperature = temperature
        self.topP = topP
        self.maxTokens = maxTokens
        self.stop = stop
    }
}

/// A piece of a reply.
public enum ChatDelta: Sendable, Equatable {
    /// Text to show. A refusal's text too: what the model says instead of an answer is its answer.
    case text(String)
    case toolCall(ToolCallDelta)
    case finish(FinishReason)
    case usage(TokenUsage)
}

/// A piece of a function call: the first piece of an index brings `id` and `name`, each may bring more
/// `arguments`.
public struct ToolCallDelta: Sendable, Equatable {
    public var index: Int
    public var id: String?
    public var name: String?
    public var arguments: String

    public init(index: Int, id: String? = nil, name: String? = nil, arguments: String = "") {
        self.index = index
        self.id = id
        self.name = name
        self.arguments = arguments
    }
}

/// Why a reply ended, in OpenAI's words.
public enum FinishReason: String, Sendable, Equatable {
    case stop, length
    case toolCalls = "tool_calls"
    case contentFilter = "content_filter"

    /// What a server calls it. Names that OpenAI's API doesn't know (`eos`, `end_turn`) mean a plain stop.
    public init(serverName: String) {
        self = FinishReason(rawValue: serverName) ?? (serverName == "function_call" ? .toolCalls : .stop)
    }
}

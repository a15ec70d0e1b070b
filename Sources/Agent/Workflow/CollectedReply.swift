import Memory

/// Puts a reply's deltas together into the message that is stored, and tells which events each of them is.
public struct CollectedReply: Sendable, Equatable {
    public private(set) var text = ""
    public private(set) var finishReason: FinishReason?
    /// As the server counted; nil where it did not.
    public private(set) var reportedUsage: TokenUsage?
    /// Estimated where the server counted nothing.
    var estimatedUsage: TokenUsage?
    private var calls: [Int: ToolCall] = [:]
    private var bytes = 0
    /// Ids that earlier calls of the turn have.
    private let taken: Set<String>
    /// Names of the functions that the client carries out.
    private let clientFunctions: Set<String>

    /// Text and arguments that a reply may have; far more than any model writes in one.
    static let limit = 4 << 20

    public init() { (taken, clientFunctions) = ([], []) }

    init(afterCalls taken: Set<String>, clientFunctions: Set<String> = []) {
        self.taken = taken
        self.clientFunctions = clientFunctions
    }

    /// Nothing was said and nothing asked for.
    public var isEmpty: Bool { text.isEmpty && calls.isEmpty }

    public var usage: TokenUsage { reportedUsage ?? estimatedUsage ?? TokenUsage() }

    /// In the order of the model's indices.
    public var toolCalls: [ToolCall] { calls.sorted { $0.key < $1.key }.map(\.value) }

    public var message: Message {
        Message(role: .assistant, content: text, toolCalls: calls.isEmpty ? nil : toolCalls)
    }

    /// Takes the deltas that arrived together and appends what a client is told of them. Tool calls are told
    /// when they are whole: at the finish.
    mutating func take(_ deltas: [ChatDelta], telling events: inout [TurnEvent]) throws(ModelError) {
        for delta in deltas {
            switch delta {
            case .text(let piece):
                bytes += piece.utf8.count
                text += piece
                events.append(.text(piece))
            case .toolCall(let piece):
                bytes += piece.arguments.utf8.count
                add(piece)
            case .finish(let reason):
                finishReason = reason
                // The last of them is cut off, and which one that is nobody says.
                if reason == .length || reason == .contentFilter { dropCalls() }
                nameCalls()
                // The client's own are told when it is known that the turn ends with them.
                events.append(contentsOf: toolCalls.filter { $0.byClient != true }.map { .toolCall($0) })
            case .usage(let usage):
                reportedUsage = usage
            }
        }
        if bytes > Self.limit {
            throw ModelError(.malformed, "The model's reply has more than \(Self.limit) bytes.")
        }
    }

    private mutating func add(_ piece: ToolCallDelta) {
        var call = calls[piece.index] ?? ToolCall(id: "", name: "", arguments: "")
        if let id = piece.id, !id.isEmpty { call.id = id }
        if let name = piece.name, !name.isEmpty { call.name = name }
        call.arguments += piece.arguments
        calls[piece.index] = call
    }

    /// Gives an id to each call that the server gave none, or one that is taken: answers are told apart by them. Marks the client's.
    private mutating func nameCalls() {
        var taken = taken
        for (index, call) in calls.sorted(by: { $0.key < $1.key }) {
            var (id, number) = (call.id, taken.count + 1)
            while id.isEmpty || taken.contains(id) {
                // A client may have calls in its history that ours has no more: only chance keeps from their ids.
                id =
                    "call_"
                    + (clientFunctions.isEmpty
                        ? "\(number)" : String(UInt64.random(in: .min ... .max), radix: 36))
                number += 1
            }
            taken.insert(id)
            calls[index]?.id = id
            if clientFunctions.contains(call.name) { calls[index]?.byClient = true }
        }
    }

    /// Drops the calls: a reply that was cut off must not ask for half a call, and what nobody offered is nobody's to make.
    mutating func dropCalls() {
        calls = [:]
    }
}

/// Functions that a turn's client brings and carries out itself: the turn ends with the calls, and the next one brings their answers.
import Memory
import PoolAPI

public struct ClientFunctions: Sendable, Equatable {
    /// No two of one name.
    public var functions: [ChatFunction]
    /// For the turn's first reply; what follows the answers of the pool's own tools is the model's choice. With `.none` they are not
    /// offered.
    public var choice: FunctionChoice
    /// Of the pool's tools too; nil leaves it to the model's server.
    public var callsInParallel: Bool?

    public init(
        _ functions: [ChatFunction] = [], choice: FunctionChoice = .auto, callsInParallel: Bool? = nil
    ) {
        self.functions = functions
        self.choice = choice
        self.callsInParallel = callsInParallel
    }

    var offered: [ChatFunction] { choice == .none ? [] : functions }

    /// What a guard reads of them: all that a model would be told.
    var texts: [Message] {
        offered.map { function in
            let texts = [function.name, function.description] + JSONValue.texts(inJSON: function.parameters)
            return Message(role: .system, content: texts.joined(separator: "\n"))
        }
    }
}

extension JSONValue {
    /// What a JSON text says: its keys, strings and numbers, their escapes resolved; the text itself where it isn't JSON.
    static func texts(inJSON text: String) -> [String] { JSONValue(json: text)?.texts ?? [text] }

    private var texts: [String] {
        switch self {
        case .null, .bool: []
        case .integer(let integer): ["\(integer)"]
        case .number(let number): ["\(number)"]
        case .string(let string): [string]
        case .array(let elements): elements.flatMap(\.texts)
        case .object(let members):
            members.sorted { $0.key < $1.key }.flatMap { [$0.key] + $0.value.texts }
        }
    }
}

extension Redaction {
    /// The functions without what the rules name; what they are called stays.
    public func redacted(_ client: ClientFunctions) -> ClientFunctions {
        guard !isIdle else { return client }
        var client = client
        client.functions = client.functions.map { function in
            var function = function
            function.description = redacted(function.description)
            function.parameters = redacted(json: function.parameters)
            return function
        }
        return client
    }
}

extension Toolbox {
    /// The same with the client's functions beside. A tool of the pool that is called like one of them is not offered: the client could
    /// not tell which of the two was called.
    func offering(_ client: ClientFunctions) -> Toolbox {
        guard !client.offered.isEmpty else { return self }
        let names = Set(client.offered.map(\.name))
        var toolbox = Toolbox(offers: offers.filter { !names.contains($0.name) })
        toolbox.clientFunctions = client.offered
        return toolbox
    }
}

extension ToolResult {
    /// Of a client's call beside a hand-off.
    static let handedOver = ToolResult(
        .notSent, "This call was not made: the conversation was handed over.")

    /// Of a client's call beside one that waits for a person. Who goes on with the decision brings no functions.
    static let besideApproval = ToolResult(
        .notSent,
        "This call was not made: a call of the same reply waits for a person. It can't be made before the user's next message."
    )
}

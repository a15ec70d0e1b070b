/// Reads the functions that a client brings with a turn, `tools` and `tool_choice` of OpenAI's two APIs, and the calls of them in a history.
import Agent
import Memory

/// Collects the fields in whatever order they come; `made` says whether they fit each other.
struct ClientFunctionsReader: Sendable {
    /// OpenAI's own bound.
    static let maximum = 128

    /// Where a function's members stand: the chat API has them in a member `function`, the Responses API beside `type`.
    enum Shape: Sendable { case nested, flat }

    private let shape: Shape
    private var functions: [ChatFunction] = []
    private var choice = FunctionChoice.auto
    private var callsInParallel: Bool?

    init(_ shape: Shape) { self.shape = shape }

    /// Of a function or a choice.
    private var nameField: String { shape == .nested ? ".function.name" : ".name" }

    mutating func readTools(_ reader: inout FieldReader) throws(APIError) {
        functions = []
        if try reader.null() { return }
        var names: Set<String> = []
        try reader.beginArray()
        while try reader.nextElement(atMost: Self.maximum) {
            let path = reader.path
            let function = try readTool(&reader, at: path)
            guard names.insert(function.name).inserted else {
                throw .invalid(
                    path, "Two of `tools` are called `\(function.name)`: give each a name of its own.")
            }
            functions.append(function)
        }
    }

    mutating func readChoice(_ reader: inout FieldReader) throws(APIError) {
        let path = reader.path
        if try reader.null() { return choice = .auto }
        switch try reader.kind() {
        case .string:
            let name = try reader.string() ?? ""
            guard let named = Self.choices[name] else { throw Self.noChoice(path) }
            choice = named
        case .object:
            let (type, name) = try readChoiceObject(&reader)
            guard type == "function" else {
                throw .unsupported(path, "Only a choice of type `function` is supported in `\(path)`.")
            }
            let field = path + nameField
            guard let name else { throw .invalid(field, "`\(field)` is missing.") }
            choice = .function(name)
        default: throw Self.noChoice(path)
        }
    }

    private static let choices: [String: FunctionChoice] = [
        "auto": .auto, "none": .none, "required": .required,
    ]

    private static func noChoice(_ path: String) -> APIError {
        .invalid(path, "`\(path)` must be auto, none, required, or an object that names a function.")
    }

    mutating func readParallel(_ reader: inout FieldReader) throws(APIError) {
        callsInParallel = try reader.bool()
    }

    func made() throws(APIError) -> ClientFunctions {
        switch choice {
        case .required where functions.isEmpty:
            throw .invalid("tool_choice", "`tool_choice` is `required`, and there are no `tools` to call.")
        case .function(let name) where !functions.contains(where: { $0.name == name }):
            throw .invalid("tool_choice", "`tool_choice` names `\(name)`, which is none of `tools`.")
        case .auto, .none, .required, .function:
            return ClientFunctions(functions, choice: choice, callsInParallel: callsInParallel)
        }
    }

    private func readTool(_ reader: inout FieldReader, at path: String) throws(APIError) -> ChatFunction {
        var type: String?
        var function = ReadFunction()
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "type": type = try reader.string()
            case "function" where shape == .nested:
                try reader.beginObject()
                while let member = try reader.nextField() { try function.read(member, from: &reader) }
            case _ where shape == .flat: try function.read(field, from: &reader)
            default: try reader.skip()
            }
        }
        guard let type else {
            throw .invalid(path + ".type", "`\(path).type` is missing: it must be `function`.")
        }
        guard type == "function" else {
            throw .unsupported(
                path,
                "Only tools of type `function` can be brought; `\(path)` is `\(type)`. Servers of tools belong to the pool's "
                    + "manifest.")
        }
        let name = try Self.checked(function.name, at: path + nameField)
        return ChatFunction(
            name: name, description: function.description, parameters: function.parameters,
            isStrict: function.isStrict)
    }

    private func readChoiceObject(
        _ reader: inout FieldReader
    ) throws(APIError) -> (type: String?, name: String?) {
        var (type, name): (String?, String?)
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "type": type = try reader.string()
            case "name" where shape == .flat: name = try reader.string()
            case "function" where shape == .nested:
                name = try reader.member("name") { r throws(APIError) in try r.string() }
            default: try reader.skip()
            }
        }
        return (type, name)
    }

    /// - Throws: where the text is no name of a function.
    static func checked(_ name: String?, at field: String) throws(APIError) -> String {
        guard let name else { throw .invalid(field, "`\(field)` is missing.") }
        guard ChatFunction.isName(name) else {
            throw .invalid(field, "`\(field)` must have 1 to 64 letters (a to z), digits, `_` and `-`.")
        }
        return name
    }
}

private struct ReadFunction {
    var name: String?
    var description = ""
    /// Of a function without arguments the field may be left out.
    var parameters = #"{"type":"object","properties":{}}"#
    var isStrict: Bool?

    mutating func read(_ member: String, from reader: inout FieldReader) throws(APIError) {
        switch member {
        case "name": name = try reader.string()
        case "description": description = try reader.string() ?? ""
        case "parameters":
            if try reader.null() { return }
            parameters = try reader.objectText()
        case "strict": isStrict = try reader.bool()
        default: try reader.skip()
        }
    }
}

extension ToolCall {
    /// One of an assistant message's `tool_calls`: a client's history holds none but those of its own functions.
    init(from reader: inout FieldReader) throws(APIError) {
        let path = reader.path
        var (id, name, arguments): (String?, String?, String?)
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "id": id = try reader.string()
            case "function":
                try reader.beginObject()
                while let member = try reader.nextField() {
                    switch member {
                    case "name": name = try reader.string()
                    case "arguments": arguments = try reader.string()
                    default: try reader.skip()
                    }
                }
            default: try reader.skip()
            }
        }
        guard let id, !id.isEmpty else { throw .invalid(path + ".id", "`\(path).id` is missing.") }
        let checked = try ClientFunctionsReader.checked(name, at: path + ".function.name")
        self.init(id: id, name: checked, arguments: arguments ?? "", byClient: true)
    }

    /// An item of type `function_call`, out of an earlier response's output.
    init(item reader: inout FieldReader) throws(APIError) {
        let path = reader.path
        var (id, name, arguments): (String?, String?, String?)
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "call_id": id = try reader.string()
            case "name": name = try reader.string()
            case "arguments": arguments = try reader.string()
            default: try reader.skip()
            }
        }
        guard let id, !id.isEmpty else { throw .invalid(path + ".call_id", "`\(path).call_id` is missing.") }
        let checked = try ClientFunctionsReader.checked(name, at: path + ".name")
        self.init(id: id, name: checked, arguments: arguments ?? "", byClient: true)
    }
}

extension Message {
    /// An item of type `function_call_output`: what came of a call.
    init(answer reader: inout FieldReader) throws(APIError) {
        let path = reader.path
        var (id, output): (String?, String?)
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "call_id": id = try reader.string()
            case "output": output = try reader.text(types: ["input_text", "output_text"])
            default: try reader.skip()
            }
        }
        guard let id, !id.isEmpty else { throw .invalid(path + ".call_id", "`\(path).call_id` is missing.") }
        guard let output else { throw .invalid(path + ".output", "`\(path).output` is missing.") }
        self.init(role: .tool, content: output, toolCallID: id)
    }
}

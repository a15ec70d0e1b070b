/// Reads a server's messages (JSON-RPC 2.0): answers, errors, notifications and requests.

/// One message, as far as the client cares.
enum MCPMessage: Sendable, Equatable {
    /// - id: as it stands in the text.
    case result(id: [UInt8], value: [UInt8])
    /// - id: nil where the server could not tell which request it refuses.
    case error(id: [UInt8]?, MCPServerError)
    case progress(token: [UInt8], ToolProgress)
    case toolsChanged
    /// The server asks something of the client.
    case request(id: [UInt8], method: String)
    /// Whatever else is said in passing.
    case other

    /// Schemas and structured content are nested deeper than what the project's own clients send.
    static let depthLimit = 128

    /// The messages of a text: one, or a batch of them as revision 2025-03-26 allowed.
    static func all(in bytes: [UInt8]) throws(JSONError) -> [MCPMessage] {
        var reader = JSONReader(bytes, depthLimit: depthLimit, repairsSurrogates: true)
        var messages: [MCPMessage] = []
        if try reader.peek() == .array {
            try reader.beginArray()
            while try reader.nextElement() { messages.append(try one(&reader)) }
        } else {
            messages.append(try one(&reader))
        }
        try reader.finish()
        return messages
    }

    private static func one(_ reader: inout JSONReader) throws(JSONError) -> MCPMessage {
        var id: [UInt8]?
        var method: String?
        var params: JSONReader?
        var result: [UInt8]?
        var error: MCPServerError?
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "id":
                let raw = Array(try reader.readRaw())
                id = raw.elementsEqual("null".utf8) ? nil : raw
            case "method": method = try reader.readText()
            case "params":
                params = reader
                try reader.skipValue()
            case "result": result = Array(try reader.readRaw())
            case "error": error = try MCPServerError(&reader)
            default: try reader.skipValue()
            }
        }
        if let method {
            if let id { return .request(id: id, method: method) }
            if method == "notifications/tools/list_changed" { return .toolsChanged }
            if method == "notifications/progress", var params { return try progress(&params) }
            return .other
        }
        if let error { return .error(id: id, error) }
        if let result, let id { return .result(id: id, value: result) }
        return .other
    }

    private static func progress(_ params: inout JSONReader) throws(JSONError) -> MCPMessage {
        guard try params.peek() == .object else { return .other }
        var token: [UInt8]?
        var progress = ToolProgress()
        try params.beginObject()
        while let key = try params.nextKey() {
            switch key {
            case "progressToken": token = Array(try params.readRaw())
            case "message": progress.message = try params.readText()
            case "progress": progress.progress = try params.readAmount()
            case "total": progress.total = try params.readAmount()
            default: try params.skipValue()
            }
        }
        guard let token else { return .other }
        return .progress(token: token, progress)
    }
}

/// What a server says about an error: JSON-RPC's error object.
struct MCPServerError: Error, Sendable, Equatable {
    var code: Int?
    var message: String?
    /// The revisions that the server speaks, where it says so.
    var supported: [String]?

    /// Codes by which a server shows that it speaks the modern era.
    static let modernCodes: Set<Int> = [
        -32020,  // headers don't match the body
        -32021,  // a capability of the client is missing
        -32022,  // unsupported revision
    ]

    var speaksOfSession: Bool {
        let words = message?.lowercased() ?? ""
        return words.contains("session") || words.contains("initializ")
    }

    init(code: Int?, message: String? = nil, supported: [String]? = nil) {
        self.code = code
        self.message = message
        self.supported = supported
    }

    /// Reads the value of an `error` member; one that is a text is its message.
    init(_ reader: inout JSONReader) throws(JSONError) {
        self.init(code: nil)
        guard try reader.peek() == .object else {
            message = try reader.readText()
            return
        }
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "code": code = try reader.readText().flatMap { Int($0) }
            case "message": message = try reader.readText()
            case "data":
                if try reader.peek() == .object {
                    try reader.beginObject()
                    while let key = try reader.nextKey() {
                        if key == "supported" {
                            supported = try reader.readTexts()
                        } else {
                            try reader.skipValue()
                        }
                    }
                } else {
                    try reader.skipValue()
                }
            default: try reader.skipValue()
            }
        }
    }
}

extension JSONReader {
    /// A string, or a number as text; anything else is passed over.
    mutating func readText() throws(JSONError) -> String? {
        switch try peek() {
        case .string: return try readString()
        case .number: return String(decoding: try readRaw(), as: UTF8.self)
        default:
            try skipValue()
            return nil
        }
    }

    /// A number that a `Double` holds; anything else is passed over.
    mutating func readAmount() throws(JSONError) -> Double? {
        try readText().flatMap { Double($0) }.flatMap { $0.isFinite ? $0 : nil }
    }

    /// The strings of an array; nil for what is no array.
    mutating func readTexts() throws(JSONError) -> [String]? {
        guard try peek() == .array else {
            try skipValue()
            return nil
        }
        var texts: [String] = []
        try beginArray()
        while try nextElement() {
            if let text = try readText() { texts.append(text) }
        }
        return texts
    }

    /// A bool; anything else is passed over.
    mutating func readFlag() throws(JSONError) -> Bool? {
        guard try peek() == .bool else {
            try skipValue()
            return nil
        }
        return try readBool()
    }
}

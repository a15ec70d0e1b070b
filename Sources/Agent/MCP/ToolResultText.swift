/// Makes of a tool's result what a model can read: one bounded text, whatever types of content it has.

/// The result of `tools/call`, read.
struct ToolResultText: Sendable, Equatable {
    static let maxBytes = 64 * 1024

    enum Verdict: Sendable, Equatable {
        case done
        case failed
        /// The server wants answers from a person first, which this client can't give.
        case inputRequired
        case unreadable
    }

    private(set) var verdict = Verdict.done
    /// The parts in their order, neither bounded nor free of secrets.
    private var parts: [String] = []
    private var texts: [String] = []
    private var structured: [UInt8]?

    /// - Parameter result: the value of the answer's `result`.
    init(result: [UInt8]) {
        var reader = JSONReader(result, depthLimit: MCPMessage.depthLimit, repairsSurrogates: true)
        do {
            try read(&reader)
        } catch {
            verdict = .unreadable
        }
    }

    private mutating func read(_ reader: inout JSONReader) throws(JSONError) {
        var type: String?
        var isError = false
        var hasContentOfNoKind = false
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "content":
                guard try reader.peek() == .array else {
                    hasContentOfNoKind = try !reader.readNull()
                    if hasContentOfNoKind { try reader.skipValue() }
                    continue
                }
                try reader.beginArray()
                while try reader.nextElement() { try add(&reader) }
            case "structuredContent":
                if try !reader.readNull() {
                    var writer = JSONWriter()
                    try writer.copy(from: &reader)
                    structured = writer.bytes
                }
            case "isError": isError = try reader.readFlag() ?? false
            case "resultType": type = try reader.readText()
            default: try reader.skipValue()
            }
        }
        if let structured, !texts.contains(where: { Self.says($0, structured) }) {
            parts.append(String(decoding: structured, as: UTF8.self))
        }
        // There was something to say, and nobody knows what.
        if hasContentOfNoKind, parts.isEmpty {
            verdict = .unreadable
            return
        }
        switch type {
        case nil, "complete": verdict = isError ? .failed : .done
        case "input_required": verdict = .inputRequired
        default: verdict = .unreadable
        }
    }

    private mutating func add(_ reader: inout JSONReader) throws(JSONError) {
        guard try reader.peek() == .object else {
            parts.append("[content that can't be read]")
            return try reader.skipValue()
        }
        var part = ContentPart()
        try part.read(&reader)
        if part.type == "text" { texts.append(part.text ?? "") }
        parts.append(part.shown)
    }

    /// Whether a text is the structured content once more, as servers send it for older clients.
    private static func says(_ text: String, _ structured: [UInt8]) -> Bool {
        var reader = JSONReader(text)
        var writer = JSONWriter()
        if (try? writer.copy(from: &reader)) != nil, (try? reader.finish()) != nil {
            if writer.bytes == structured { return true }
            // A value that is no object comes wrapped.
            return structured == Array(#"{"result":"#.utf8) + writer.bytes + [UInt8(ascii: "}")]
        }
        var wrapped = JSONWriter()
        wrapped.beginObject()
        wrapped.field("result", text)
        wrapped.endObject()
        return wrapped.bytes == structured
    }

    /// The text for the model: without secrets, and bounded with a word about what was cut off.
    func text(hiding hidden: HiddenValues) -> String {
        let whole = hidden.removed(from: parts.joined(separator: "\n"))
        if whole.isEmpty { return "(The tool answered without content.)" }
        let (text, isWhole) = whole.cut(to: Self.maxBytes)
        if isWhole { return whole }
        return text
            + "\n[cut off here: the answer has \(whole.utf8.count) bytes, of which these are the first]"
    }
}

/// One part of a result's content.
private struct ContentPart {
    var type = ""
    var text: String?
    private var mimeType: String?
    private var uri: String?
    private var name: String?
    private var description: String?
    /// What the part's data comes to when it is decoded.
    private var bytes: Int?

    mutating func read(_ reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "type": type = try reader.readText() ?? type
            case "text": text = try reader.readText()
            case "mimeType": mimeType = try reader.readText()
            case "uri": uri = try reader.readText()
            case "name": name = try reader.readText()
            case "description": description = try reader.readText()
            case "data", "blob": bytes = Self.decodedCount(try reader.readRaw())
            case "resource":
                if try reader.peek() == .object {
                    let outer = type
                    try read(&reader)
                    type = outer
                } else {
                    try reader.skipValue()
                }
            default: try reader.skipValue()
            }
        }
    }

    var shown: String {
        let size = bytes.map { "\($0) bytes" }
        func mark(_ what: String, _ details: [String?]) -> String {
            "[\(([what] + details.compactMap { $0 }).joined(separator: ", "))]"
        }
        switch type {
        case "text": return text ?? ""
        case "image", "audio": return mark(type, [mimeType, size, "not shown"])
        case "resource":
            guard let text else { return mark("resource", [uri, mimeType, size, "not shown"]) }
            return mark("resource", [uri, mimeType]) + "\n" + text
        case "resource_link": return mark("link", [name, uri, mimeType, description])
        default: return mark("content of a type that can't be shown", [type.cut(to: 40).text])
        }
    }

    /// - Parameter base64: with its quotation marks.
    private static func decodedCount(_ base64: ArraySlice<UInt8>) -> Int {
        let digits = base64.dropFirst().dropLast()
        let padding = digits.suffix(2).count { $0 == UInt8(ascii: "=") }
        return max(0, digits.count / 4 * 3 - padding)
    }
}

extension JSONWriter {
    /// Copies the next value without the white space around its parts.
    mutating func copy(from reader: inout JSONReader) throws(JSONError) {
        switch try reader.peek() {
        case .object:
            beginObject()
            try reader.beginObject()
            while let name = try reader.nextKey() {
                key(escaping: name)
                try copy(from: &reader)
            }
            endObject()
        case .array:
            beginArray()
            try reader.beginArray()
            while try reader.nextElement() { try copy(from: &reader) }
            endArray()
        case .string: string(try reader.readString())
        case .number, .bool, .null: raw(try reader.readRaw())
        }
    }
}

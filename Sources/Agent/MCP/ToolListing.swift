/// Gathers a server's tools from the pages of its list: which of them agents get, within bounds. A value without I/O.

/// The tools of one listing as its pages come in.
struct ToolListing: Sendable {
    static let maxTools = 512
    static let maxPages = 64
    static let maxBytes = 4 << 20
    private static let maxDescriptionBytes = 4096

    /// Something to be told once: a tool that is left out, or a list that is cut off.
    struct Warning: Sendable, Hashable {
        /// The tool's name, as far as it can be shown; empty for the list as a whole.
        var tool: String
        var reason: String
    }

    enum Step: Equatable {
        case ask(cursor: String)
        case done
    }

    private(set) var tools: [Tool] = []
    private(set) var warnings: [Warning] = []
    /// How long the server lets its list be kept, where it says so.
    private(set) var timeToLive: Duration?

    private let allow: Set<String>?
    private let hidden: HiddenValues
    private var names: Set<String> = []
    private var cursors: Set<String> = []
    private var pages = 0
    private var bytes = 0

    /// - Parameter allow: the tools that agents see; nil for all.
    init(allow: [String]?, hiding hidden: HiddenValues) {
        self.allow = allow.map { Set($0) }
        self.hidden = hidden
    }

    /// How many bytes the next page may have.
    var bytesLeft: Int { Self.maxBytes - bytes }

    /// Takes the value of one answer's `result`.
    ///
    /// Throws where it isn't a list of tools.
    mutating func add(page: [UInt8]) throws(JSONError) -> Step {
        pages += 1
        bytes += page.count
        var reader = JSONReader(page, depthLimit: MCPMessage.depthLimit, repairsSurrogates: true)
        var cursor: String?
        var hasTools = false
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "tools":
                hasTools = true
                try reader.beginArray()
                while try reader.nextElement() { try add(&reader) }
            case "nextCursor": cursor = try reader.readText()
            case "ttlMs":
                if let milliseconds = try reader.readText().flatMap({ Double($0) }), milliseconds >= 0 {
                    let time = Duration.milliseconds(Int(min(milliseconds, 86_400_000)))
                    timeToLive = min(timeToLive ?? time, time)
                }
            default: try reader.skipValue()
            }
        }
        guard hasTools else { throw JSONError(.expected("a list of tools"), offset: reader.offset) }
        return next(cursor)
    }

    /// A page that is larger than what is left of the bound: the list ends before it.
    mutating func end() {
        warn("", "the list has more than \(Self.maxBytes) bytes; what follows is left out")
        finish()
    }

    private mutating func next(_ cursor: String?) -> Step {
        guard let cursor, !cursor.isEmpty else {
            finish()
            return .done
        }
        if tools.count >= Self.maxTools {
            warn("", "the list has more than \(Self.maxTools) tools; what follows is left out")
        } else if !cursors.insert(cursor).inserted {
            warn("", "the list comes back to a page that it had; it ends there")
        } else if pages >= Self.maxPages {
            warn("", "the list has more than \(Self.maxPages) pages; what follows is left out")
        } else if bytesLeft <= 0 {
            warn("", "the list has more than \(Self.maxBytes) bytes; what follows is left out")
        } else {
            return .ask(cursor: cursor)
        }
        finish()
        return .done
    }

    private mutating func finish() {
        guard let allow else { return }
        let missing = allow.subtracting(names).sorted()
        if !missing.isEmpty {
            warn("", "allow names tools that the server doesn't offer: \(missing.joined(separator: ", "))")
        }
    }

    private mutating func add(_ reader: inout JSONReader) throws(JSONError) {
        guard try reader.peek() == .object else {
            try reader.skipValue()
            return warn("", "an entry of the list is no tool")
        }
        let (tool, fault) = try Self.read(&reader)
        guard Self.isUsable(tool.name) else {
            return warn(
                hidden.line(tool.name, limit: 60) ?? "",
                "its name can't be used: 1 to 128 letters, digits and . _ / - only")
        }
        guard allow?.contains(tool.name) ?? true else { return }
        guard names.insert(tool.name).inserted else {
            return warn(tool.name, "its name stands twice in the list")
        }
        if let fault { return warn(tool.name, fault) }
        guard tools.count < Self.maxTools else {
            return warn("", "the list has more than \(Self.maxTools) tools; what follows is left out")
        }
        do {
            _ = try MirroredArguments(schema: tool.inputSchema)
        } catch {
            return warn(tool.name, error.reason)
        }
        var kept = tool
        let (description, isWhole) = hidden.removed(from: tool.description).cut(to: Self.maxDescriptionBytes)
        kept.description = isWhole ? description : description + "..."
        tools.append(kept)
    }

    private static func read(_ reader: inout JSONReader) throws(JSONError) -> (Tool, fault: String?) {
        var tool = Tool(name: "", description: "", inputSchema: "")
        var title = ""
        var fault: String? = "it has no inputSchema"
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "name": tool.name = try reader.readText() ?? ""
            case "title": title = try reader.readText() ?? ""
            case "description": tool.description = try reader.readText() ?? ""
            case "inputSchema":
                let raw = try reader.readRaw()
                do throws(ToolSchema.Fault) {
                    tool.inputSchema = try ToolSchema.read(raw)
                    fault = nil
                } catch {
                    fault = error.reason
                }
            case "annotations":
                guard try reader.peek() == .object else {
                    try reader.skipValue()
                    continue
                }
                try reader.beginObject()
                while let hint = try reader.nextKey() {
                    switch hint {
                    case "readOnlyHint": tool.isReadOnly = try reader.readFlag() ?? false
                    case "idempotentHint": tool.isIdempotent = try reader.readFlag() ?? false
                    case "title": if let text = try reader.readText(), title.isEmpty { title = text }
                    default: try reader.skipValue()
                    }
                }
            default: try reader.skipValue()
            }
        }
        if tool.description.isEmpty { tool.description = title }
        return (tool, fault)
    }

    /// What the manifest's `allow` can name too.
    private static func isUsable(_ name: String) -> Bool {
        (1...128).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "._/-".utf8.contains(byte)
                }
            }
    }

    private mutating func warn(_ tool: String, _ reason: String) {
        let warning = Warning(tool: tool, reason: reason)
        if warnings.count < Self.maxTools, !warnings.contains(warning) { warnings.append(warning) }
    }
}

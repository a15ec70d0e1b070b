import Memory

/// Reads a model's answer to ``SummaryPrompt``, also where it is wrapped in prose, fences or thoughts, or
/// isn't JSON at all.
enum SummaryReply {
    static let replyLimit = 64 * 1024
    static let summaryLimit = 4000
    static let entityLimit = 32
    static let entityLength = 80

    /// - Parameter request: gives the entities where the model named none.
    static func parse(_ reply: String, fallbackFrom request: SummaryRequest) throws(SummaryFailure)
        -> BatchSummary
    {
        let text = withoutThoughts(reply)
        var summary = object(in: text) ?? BatchSummary(summary: withoutFences(text), entities: [])
        summary.summary = Sentences.bounded(String(Sentences.trimmed(summary.summary)), bytes: summaryLimit)
        guard !summary.summary.isEmpty else { throw .transient("the model's summary is empty") }
        if summary.entities.isEmpty {
            summary.entities = Entities.found(in: request.turns.flatMap { $0.turn.messages.map(\.content) })
        }
        summary.entities = tidied(summary.entities)
        return summary
    }

    /// The first JSON object with a summary in it, wherever in the text it starts.
    private static func object(in text: String) -> BatchSummary? {
        let bytes = Array(text.utf8)
        var attempts = 0
        for start in bytes.indices where bytes[start] == UInt8(ascii: "{") {
            attempts += 1
            if attempts > 8 { return nil }
            var reader = JSONReader(Array(bytes[start...]), repairsSurrogates: true)
            do {
                if let found = try readObject(&reader) { return found }
            } catch {
                // Not an object, or not a whole one; another may follow.
                continue
            }
        }
        return nil
    }

    private static func readObject(_ reader: inout JSONReader) throws(JSONError) -> BatchSummary? {
        var summary: String?
        var entities: [String] = []
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch (key, try reader.peek()) {
            case ("summary", .string): summary = try reader.readString()
            case ("entities", .array): entities = try readEntities(&reader)
            case ("entities", .string):
                entities = try reader.readString().split { $0 == "," || $0 == ";" }.map(String.init)
            default: try reader.skipValue()
            }
        }
        return summary.map { BatchSummary(summary: $0, entities: entities) }
    }

    /// Strings, numbers, or objects with a `name`.
    private static func readEntities(_ reader: inout JSONReader) throws(JSONError) -> [String] {
        var entities: [String] = []
        try reader.beginArray()
        while try reader.nextElement() {
            switch try reader.peek() {
            case .string: entities.append(try reader.readString())
            case .number: entities.append(String(decoding: try reader.readRaw(), as: UTF8.self))
            case .object:
                try reader.beginObject()
                while let key = try reader.nextKey() {
                    let isName = key == "name" || key == "entity" || key == "text"
                    if isName, try reader.peek() == .string {
                        entities.append(try reader.readString())
                    } else {
                        try reader.skipValue()
                    }
                }
            default: try reader.skipValue()
            }
        }
        return entities
    }

    private static func tidied(_ entities: [String]) -> [String] {
        var seen: Set<String> = []
        var tidied: [String] = []
        for entity in entities where tidied.count < entityLimit {
            let whole = Sentences.bounded(String(Sentences.trimmed(entity)), bytes: entityLength)
            if !whole.isEmpty, seen.insert(whole.lowercased()).inserted { tidied.append(whole) }
        }
        return tidied
    }

    /// Reasoning models put `<think>...</think>` in front of what they answer.
    private static func withoutThoughts(_ text: String) -> String {
        guard let end = text.ranges(of: "</think>").last?.upperBound else { return text }
        return String(text[end...])
    }

    /// The text without the lines that open or close a code fence.
    private static func withoutFences(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !Sentences.trimmed($0).hasPrefix("```") }
            .joined(separator: "\n")
    }
}

extension SummaryFailure {
    /// Whether a batch is to be split, parked or tried again after this failure of a model.
    init(_ error: ModelError) {
        switch error.kind {
        case .contextTooLong:
            self = .tooLarge
        case .rejected where error.status == 413:
            self = .tooLarge
        case .rejected
        where (400..<500).contains(error.status ?? 0)
            && ![401, 403, 408, 409, 425, 429].contains(error.status):
            self = .permanent(error.message)
        // A wrong key or manifest is mended by people; what was said must wait for that, not be parked for
        // it.
        case .configuration, .rejected, .unavailable, .timeout, .interrupted, .malformed, .cancelled:
            self = .transient(error.message)
        }
    }
}

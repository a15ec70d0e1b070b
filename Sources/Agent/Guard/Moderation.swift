/// Asks an endpoint of OpenAI's moderations API about a turn's new messages, and decides what its answer means for the turn.
import Memory
import PoolAPI
import Transport

struct Moderation: Sendable {
    /// What became of asking.
    enum Verdict: Equatable, Sendable {
        case passed
        /// The categories that count, by name.
        case flagged([String])
        case failed(reason: String)
    }

    private let rules: AgentPoolSpec.Guard.Moderation
    private let endpoint: ModelEndpoint

    static let field = "guard.moderation"
    /// Bytes of an answer; one of OpenAI's has some 2 KB a text.
    private static let answerLimit = 1 << 20

    init(
        _ rules: AgentPoolSpec.Guard.Moderation, http: HTTPClient,
        secrets: @escaping @Sendable (SecretKeyRef) -> String?
    ) {
        self.rules = rules
        endpoint = ModelEndpoint(
            field: "spec." + Self.field, model: rules.endpoint, http: http, secrets: secrets)
    }

    var refusesWithoutVerdict: Bool { rules.onFailure == .refuse }

    /// Takes as long as `deadline` at most. Obeys cancellation.
    func verdict(on messages: [Message]) async -> Verdict {
        let texts = messages.map(\.content).filter { !$0.isEmpty }
        guard !texts.isEmpty else { return .passed }
        do {
            let answer = try await endpoint.post(
                "/moderations", body: body(texts), accept: "application/json",
                timeout: rules.deadline.duration)
            let bytes = try await answer.response.body.collect(upTo: Self.answerLimit)
            return try Self.read(bytes, of: texts.count, by: rules)
        } catch let error as ModelError {
            return .failed(reason: error.message)
        } catch let error as TransportError {
            return .failed(reason: ModelError(transport: error, model: Self.field).message)
        } catch {
            return .failed(reason: "The moderation's answer can't be read: \(error).")
        }
    }

    private func body(_ texts: [String]) -> [UInt8] {
        var writer = JSONWriter(capacity: texts.reduce(128) { $0 + $1.utf8.count + 16 })
        writer.beginObject()
        writer.field("model", rules.model)
        writer.key("input")
        writer.beginArray()
        for text in texts { writer.string(text) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    /// One result of an answer.
    private struct Result {
        var isFlagged = false
        var flagged: Set<String> = []
        var scores: [String: Double] = [:]

        /// The categories in it that count; one without a name where the endpoint names none.
        func counted(by rules: AgentPoolSpec.Guard.Moderation) -> Set<String> {
            let wanted = rules.categories.map(Set.init)
            let found =
                if let threshold = rules.threshold {
                    Set(scores.filter { $0.value >= threshold }.keys)
                } else {
                    flagged
                }
            if let wanted { return found.intersection(wanted) }
            return found.isEmpty && isFlagged && rules.threshold == nil ? ["flagged"] : found
        }
    }

    /// Reads `{"results": [{"flagged", "categories": {name: bool}, "category_scores": {name: number}}]}`
    /// (OpenAI's API reference, "Create moderation").
    ///
    /// - Parameter count: the texts that were sent: each must have a result, or one that is unsafe could go by.
    static func read(
        _ bytes: [UInt8], of count: Int, by rules: AgentPoolSpec.Guard.Moderation
    ) throws(JSONError) -> Verdict {
        var reader = JSONReader(bytes)
        var results: [Result] = []
        try reader.beginObject()
        while let key = try reader.nextKey() {
            guard key == "results" else {
                try reader.skipValue()
                continue
            }
            try reader.beginArray()
            while try reader.nextElement() { results.append(try result(&reader)) }
        }
        guard results.count == count else {
            return .failed(reason: "The moderation answered \(results.count) results to \(count) texts.")
        }
        let flagged = results.reduce(into: Set<String>()) { $0.formUnion($1.counted(by: rules)) }
        return flagged.isEmpty ? .passed : .flagged(flagged.sorted())
    }

    private static func result(_ reader: inout JSONReader) throws(JSONError) -> Result {
        var result = Result()
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch (key, try reader.peek()) {
            case ("flagged", .bool): result.isFlagged = try reader.readBool()
            case ("categories", .object):
                try reader.beginObject()
                while let name = try reader.nextKey() {
                    // A category that an endpoint doesn't judge is null.
                    if try reader.peek() == .bool {
                        if try reader.readBool() { result.flagged.insert(name) }
                    } else {
                        try reader.skipValue()
                    }
                }
            case ("category_scores", .object):
                try reader.beginObject()
                while let name = try reader.nextKey() {
                    if try reader.peek() == .number {
                        result.scores[name] = try reader.readDouble()
                    } else {
                        try reader.skipValue()
                    }
                }
            default: try reader.skipValue()
            }
        }
        return result
    }
}

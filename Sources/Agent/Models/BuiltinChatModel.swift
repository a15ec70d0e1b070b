import Memory
import PoolAPI

/// The offline default: no language model, and it says so. Answers from the recent turns and the recalled
/// memories by matching words, notes what it is told, sums up by extraction. Needs no server; the same prompt
/// always gives the same reply.
public struct BuiltinChatModel: ChatModel {
    /// How long each word takes; nil sends them as fast as they are read.
    private let wordInterval: Duration?

    /// - Parameter parameters: the manifest's; `wordsPerSecond` paces the stream like a person's typing.
    public init(parameters: [String: JSONValue] = [:]) {
        let pace: Double? =
            switch parameters["wordsPerSecond"] {
            case .integer(let words): Double(words)
            case .number(let words): words
            default: nil
            }
        wordInterval = pace.flatMap { $0 > 0 ? .seconds(1 / max($0, 0.1)) : nil }
    }

    public func open(_ request: ChatRequest) async throws(ModelError) -> any ChatReply {
        BuiltinReply(request, wordInterval: wordInterval)
    }

    public func summarize(_ request: SummaryRequest) async throws(SummaryFailure) -> BatchSummary {
        ExtractiveSummary.summary(of: request)
    }
}

/// A finished text that is handed out word by word.
struct BuiltinReply: ChatReply {
    private var words: ArraySlice<String>
    private let finish: FinishReason
    private let usage: TokenUsage
    private let wordInterval: Duration?
    private var isFinished = false

    init(_ request: ChatRequest, wordInterval: Duration?) {
        var text = BuiltinAnswer.text(for: request.prompt)
        for stop in request.sampling.stop where !stop.isEmpty {
            if let range = text.firstRange(of: stop) { text = String(text[..<range.lowerBound]) }
        }
        let words = Self.words(of: text)
        let limit = request.sampling.maxTokens ?? words.count
        finish = words.count > limit ? .length : .stop
        self.words = words.prefix(limit)
        usage = TokenEstimate.usage(prompt: request.prompt, reply: self.words.joined())
        self.wordInterval = wordInterval
    }

    mutating func next() async throws(ModelError) -> [ChatDelta]? {
        if let word = words.popFirst() {
            if let wordInterval {
                do {
                    try await Task.sleep(for: wordInterval)
                } catch {
                    throw ModelError(.cancelled, "The reply was cancelled.")
                }
            }
            return [.text(word)]
        }
        if isFinished { return nil }
        isFinished = true
        return [.finish(finish), .usage(usage)]
    }

    /// Words with the spaces after them; ideographs, which have no spaces, one by one.
    private static func words(of text: String) -> [String] {
        var words: [String] = []
        var current = ""
        for character in text {
            current.append(character)
            if character.isWhitespace || character.unicodeScalars.first.map(ScalarClass.init) == .ideograph {
                words.append(current)
                current = ""
            }
        }
        if !current.isEmpty { words.append(current) }
        return words
    }
}

import Memory
import Transport

/// The state of one streamed reply as a value: bytes go in, deltas come out, and it knows whether the reply
/// is whole.
struct ChatStream: Sendable {
    private enum State {
        case streaming
        /// The finish reason came; usage and `[DONE]` may follow.
        case finished
        /// `[DONE]` came; whatever follows is ignored.
        case done
        case failed(ModelError)
    }

    /// Never shown, should the server quote it in an error.
    private let secret: String?
    private var sawToolCall = false
    private var state = State.streaming
    private var parser = ServerSentEventParser(maxEventBytes: 1 << 20)
    private var events: [ServerSentEvent] = []

    init(hiding secret: String? = nil) {
        self.secret = secret
    }

    /// True once nothing that could still arrive matters.
    var isDone: Bool {
        if case .done = state { true } else { false }
    }

    /// Why nothing more comes, once something broke the stream.
    var failure: ModelError? {
        if case .failed(let error) = state { error } else { nil }
    }

    /// Feeds the bytes of one network chunk and appends the deltas that they complete.
    ///
    /// Throws `.rejected` for an error object of the server and `.malformed` for what isn't the protocol; the
    /// deltas before it were appended.
    mutating func feed(_ bytes: [UInt8], into deltas: inout [ChatDelta]) throws(ModelError) {
        events.removeAll(keepingCapacity: true)
        do {
            try parser.feed(bytes, into: &events)
        } catch {
            throw fail(
                ModelError(
                    .malformed, "The model's server sent an event stream that can't be read: \(error)."))
        }
        for event in events {
            if case .done = state { return }
            try take(event.data, into: &deltas)
        }
    }

    /// Tells that the bytes have ended.
    ///
    /// Throws `.interrupted` where the reply hadn't.
    mutating func end() throws(ModelError) {
        if case .streaming = state {
            throw fail(ModelError(.interrupted, "The model's stream ended before its reply did."))
        }
    }

    private mutating func take(_ data: [UInt8], into deltas: inout [ChatDelta]) throws(ModelError) {
        if data.elementsEqual("[DONE]".utf8) {
            if case .streaming = state { deltas.append(.finish(sawToolCall ? .toolCalls : .stop)) }
            state = .done
            return
        }
        let count = deltas.count
        do {
            try ChatChunk.read(data, into: &deltas)
        } catch let error as ChatChunk.ServerError {
            throw fail(rejection(error.text))
        } catch {
            throw fail(
                ModelError(.malformed, "The model's server sent a chunk that can't be read: \(error)."))
        }
        settle(&deltas, from: count)
    }

    /// Notes what the new deltas say about the stream, and lets one finish through only.
    private mutating func settle(_ deltas: inout [ChatDelta], from start: Int) {
        var index = start
        while index < deltas.count {
            switch deltas[index] {
            case .toolCall: sawToolCall = true
            case .finish:
                if case .streaming = state {
                    state = .finished
                } else {
                    deltas.remove(at: index)
                    continue
                }
            case .text, .usage: break
            }
            index += 1
        }
    }

    private mutating func fail(_ error: ModelError) -> ModelError {
        state = .failed(error)
        return error
    }

    private func rejection(_ text: UpstreamErrorText) -> ModelError {
        let message = text.shown(hiding: secret) ?? "The model's server broke its reply off with an error."
        return ModelError(text.saysContextTooLong ? .contextTooLong : .rejected, message, code: text.code)
    }
}

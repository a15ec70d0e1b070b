import Logging
import Memory
import PoolAPI
import Transport

/// A chat model behind any server that speaks OpenAI's chat-completions API.
///
/// Replies are always asked for as a stream with usage. A call that found no connection is tried once more;
/// one that reached the server never is: only the client knows whether asking twice is right.
public struct OpenAIChatModel: ChatModel {
    private let endpoint: ModelEndpoint
    private let limits: Prompt.Limits

    /// - Parameters:
    ///   - field: the model's place in the manifest, such as `spec.models[0]`; errors name it.
    ///   - secrets: answers the current value of a Secret's key, nil where there is none. Asked at every
    ///     call.
    ///   - idleTimeout: how long the server may be silent, before and within its reply.
    public init(
        _ model: AgentPoolSpec.Model, field: String, http: HTTPClient,
        secrets: @escaping @Sendable (SecretKeyRef) -> String?, idleTimeout: Duration = .seconds(120),
        limits: Prompt.Limits = Prompt.Limits()
    ) {
        endpoint = ModelEndpoint(
            field: field, model: model, http: http, secrets: secrets, idleTimeout: idleTimeout)
        self.limits = limits
    }

    public func open(_ request: ChatRequest) async throws(ModelError) -> any ChatReply {
        try await stream(
            capacity: request.prompt.estimatedBytes, sampling: request.sampling, timeout: request.timeout,
            functions: request.functions, choice: request.choice, callsInParallel: request.callsInParallel
        ) { request.prompt.write(limits, to: &$0) }
    }

    public func summarize(_ request: SummaryRequest) async throws(SummaryFailure) -> BatchSummary {
        do {
            let messages = SummaryPrompt.messages(for: request)
            var reply = try await stream(
                capacity: messages.reduce(0) { $0 + $1.content.utf8.count + 48 },
                sampling: SamplingOverrides(), timeout: nil
            ) { writer in
                writer.beginArray()
                for message in messages { message.write(to: &writer) }
                writer.endArray()
            }
            var text = ""
            while let deltas = try await reply.next() {
                for case .text(let piece) in deltas { text += piece }
                if text.utf8.count > SummaryReply.replyLimit { break }
            }
            return try SummaryReply.parse(text, fallbackFrom: request)
        } catch let failure as SummaryFailure {
            throw failure
        } catch let error as ModelError {
            throw SummaryFailure(error)
        } catch {
            throw .transient("\(error)")
        }
    }

    private func stream(
        capacity: Int, sampling: SamplingOverrides, timeout: Duration?,
        functions: [ChatFunction] = [], choice: FunctionChoice = .auto, callsInParallel: Bool? = nil,
        writeMessages: (inout JSONWriter) -> Void
    ) async throws(ModelError) -> OpenAIChatReply {
        let body = ChatRequestBody.bytes(
            model: endpoint.model.model, capacity: capacity, parameters: endpoint.model.parameters,
            sampling: sampling, functions: functions, choice: choice, callsInParallel: callsInParallel,
            writeMessages: writeMessages)
        let answer = try await endpoint.post(
            "/chat/completions", body: body, accept: "text/event-stream", timeout: timeout)
        let type = answer.response.headers["Content-Type"]?.lowercased() ?? ""
        guard type.isEmpty || type.hasPrefix("text/event-stream") else {
            throw await notAStream(answer, type: type)
        }
        return OpenAIChatReply(answer, model: endpoint.model.name)
    }

    /// Some gateways answer 200 and an error in JSON.
    private func notAStream(_ answer: ModelEndpoint.Answer, type: String) async -> ModelError {
        let what = type.hasPrefix("application/json") ? "JSON" : "something else"
        let body: [UInt8]
        do {
            body = try await answer.response.body.collect(upTo: ModelEndpoint.errorBodyLimit)
        } catch {
            // The text was only to explain the error.
            body = []
        }
        let said = UpstreamErrorText(body: body).shown(hiding: answer.secret).map { ": " + $0 } ?? "."
        return ModelError(
            .malformed,
            "The server of model \(endpoint.model.name) answered \(what) in place of an event stream\(said)")
    }
}

/// A chat-completions stream as it arrives.
struct OpenAIChatReply: ChatReply {
    private let model: String
    private var body: HTTPBody.AsyncIterator
    private var stream: ChatStream

    init(_ answer: ModelEndpoint.Answer, model: String) {
        self.model = model
        body = answer.response.body.makeAsyncIterator()
        stream = ChatStream(hiding: answer.secret)
    }

    mutating func next() async throws(ModelError) -> [ChatDelta]? {
        var deltas: [ChatDelta] = []
        while deltas.isEmpty {
            if let failure = stream.failure { throw failure }
            if stream.isDone { return nil }
            guard let bytes = try await nextBytes() else {
                try stream.end()
                return nil
            }
            do {
                try stream.feed(bytes, into: &deltas)
            } catch  where !deltas.isEmpty {
                // What came before the error is delivered first; the stream keeps the error for the next
                // call.
            }
        }
        return deltas
    }

    private mutating func nextBytes() async throws(ModelError) -> [UInt8]? {
        do {
            return try await body.next()
        } catch  where error.kind == .cancelled || error.kind == .timeout(.total) {
            throw ModelError(transport: error, model: model)
        } catch  where error.kind == .timeout(.idle) {
            throw ModelError(.timeout, "The server of model \(model) fell silent in the middle of its reply.")
        } catch {
            throw ModelError(.interrupted, "The reply of model \(model) broke off: \(error.message).")
        }
    }
}

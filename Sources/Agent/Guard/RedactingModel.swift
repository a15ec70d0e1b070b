/// A chat model from which nothing comes that `spec.guard.redact` names: neither in replies nor in summaries nor in errors.
import Memory

struct RedactingModel: ChatModel {
    let model: any ChatModel
    let redaction: Redaction

    func open(_ request: ChatRequest) async throws(ModelError) -> any ChatReply {
        do {
            return RedactingReply(try await model.open(request), redaction)
        } catch {
            throw error.redacted(by: redaction)
        }
    }

    /// Turns that were stored before a rule was added are redacted here.
    func summarize(_ request: SummaryRequest) async throws(SummaryFailure) -> BatchSummary {
        var request = request
        request.previousSummary = redaction.redacted(request.previousSummary)
        for index in request.turns.indices {
            request.turns[index].turn.messages = request.turns[index].turn.messages.map {
                redaction.redacted($0)
            }
        }
        do {
            let summary = try await model.summarize(request)
            return BatchSummary(
                summary: redaction.redacted(summary.summary),
                entities: summary.entities.map { redaction.redacted($0) })
        } catch {
            throw error.redacted(by: redaction)
        }
    }
}

private struct RedactingReply: ChatReply {
    private var reply: any ChatReply
    private var passing: ReplyRedaction
    private let redaction: Redaction
    /// Why the reply broke off; thrown once what was held back is passed on.
    private var failure: ModelError?

    init(_ reply: any ChatReply, _ redaction: Redaction) {
        self.reply = reply
        self.redaction = redaction
        passing = ReplyRedaction(redaction)
    }

    mutating func next() async throws(ModelError) -> [ChatDelta]? {
        while failure == nil {
            do {
                guard let deltas = try await reply.next() else { return rest() }
                let shown = try passing.take(deltas)
                if !shown.isEmpty { return shown }
            } catch {
                failure = error.redacted(by: redaction)
            }
        }
        if let rest = rest() { return rest }
        throw failure ?? ModelError(.interrupted, "The model's reply broke off.")
    }

    private mutating func rest() -> [ChatDelta]? {
        let rest = passing.flush()
        return rest.isEmpty ? nil : rest
    }
}

extension ModelError {
    /// A server may quote what it was sent, or what its model said.
    fileprivate func redacted(by redaction: Redaction) -> ModelError {
        var error = self
        error.message = redaction.redacted(message)
        error.code = code.map { redaction.redacted($0) }
        return error
    }
}

extension SummaryFailure {
    fileprivate func redacted(by redaction: Redaction) -> SummaryFailure {
        switch self {
        case .tooLarge: .tooLarge
        case .permanent(let reason): .permanent(redaction.redacted(reason))
        case .transient(let reason): .transient(redaction.redacted(reason))
        }
    }
}

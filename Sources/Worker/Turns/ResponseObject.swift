/// A response as OpenAI's Responses API tells it: the answer to a request, the first and the last events of a stream, and a stored turn.
import Agent
import Foundation
import Memory

struct ResponseObject: Sendable {
    enum State: Sendable, Equatable {
        case inProgress, completed, cancelled
        /// The model stopped early.
        case incomplete(reason: String)
        case failed(APIError)
    }

    private let session: SessionID
    private let model: String
    private var instructions: String?
    private var metadata: [(name: String, value: String)] = []
    private var previous: ResponseID?
    private var overrides = SamplingOverrides()
    private let turn: TurnID
    /// Seconds since 1970.
    private let createdAt: Int64
    /// Seconds since 1970.
    private var completedAt: Int64?
    private(set) var state = State.inProgress
    private var usage: TokenUsage?
    var output: ResponseOutput

    /// One whose turn begins.
    init(
        to asked: ResponsesRequest, _ opening: TurnOpening, session: SessionID, model: String,
        serverLabel: String
    ) {
        self.session = session
        self.model = model
        instructions = asked.instructions
        metadata = asked.metadata
        previous = asked.previous
        overrides = asked.overrides
        turn = opening.turn
        createdAt = opening.known.map { $0.turn.startedAt / 1000 } ?? Int64(Date().timeIntervalSince1970)
        output = ResponseOutput(turn: opening.turn, serverLabel: serverLabel)
    }

    /// A stored turn. What its request said of it beside its messages is not stored.
    init(_ stored: StoredTurn, of session: SessionID, serverLabel: String) {
        let turn = stored.turn
        self.session = session
        model = turn.agent
        self.turn = turn.id
        createdAt = turn.startedAt / 1000
        usage = turn.usage
        output = ResponseOutput(turn: turn.id, serverLabel: serverLabel)
        if turn.inputCount != nil || turn.messages.last?.role == .assistant {
            for event in TurnEvent.replay(stored) { _ = output.take(event) }
        }
        switch turn.ending {
        case .complete:
            state = .completed
            completedAt = turn.finishedAt / 1000
        case .cancelled: state = .cancelled
        case .failed: state = .failed(.brokenOff)
        case .waiting: state = .incomplete(reason: Self.awaitsApproval)
        case .running: return
        }
        _ = output.end(turn.ending == .complete ? .completed : .incomplete)
    }

    /// Beside OpenAI's own reasons: a call waits for a person, who decides by the session's approvals.
    private static let awaitsApproval = "approval_required"

    /// The turn is durable.
    ///
    /// - Parameter now: seconds since 1970.
    mutating func end(_ report: TurnReport, now: Int64) -> [ResponseOutput.Change] {
        usage = report.usage
        switch report.finishReason {
        case _ where report.turn.ending == .waiting: state = .incomplete(reason: Self.awaitsApproval)
        case .length: state = .incomplete(reason: "max_output_tokens")
        case .contentFilter: state = .incomplete(reason: "content_filter")
        case .stop, .toolCalls:
            state = .completed
            completedAt = now
        }
        return output.end(state == .completed ? .completed : .incomplete)
    }

    mutating func fail(_ error: APIError) -> [ResponseOutput.Change] {
        state = .failed(error)
        return output.end(.incomplete)
    }

    private var status: String {
        switch state {
        case .inProgress: "in_progress"
        case .completed: "completed"
        case .cancelled: "cancelled"
        case .incomplete: "incomplete"
        case .failed: "failed"
        }
    }
}

extension ResponseObject {
    var json: [UInt8] {
        var json = JSONWriter(capacity: 2048)
        write(into: &json)
        return json.bytes
    }

    /// - Parameter isBegin: as it was before its first item.
    func write(into json: inout JSONWriter, isBegin: Bool = false) {
        json.beginObject()
        json.field("id", ResponseID(session: session, turn: turn).text)
        json.field("object", "response")
        json.field("created_at", createdAt)
        json.field("status", status)
        json.field("background", false)
        json.key("completed_at")
        if let completedAt { json.int(completedAt) } else { json.null() }
        json.key("conversation")
        json.beginObject()
        json.field("id", session.value)
        json.endObject()
        json.key("error")
        if case .failed(let error) = state { error.write(into: &json) } else { json.null() }
        json.key("incomplete_details")
        if case .incomplete(let reason) = state {
            json.beginObject()
            json.field("reason", reason)
            json.endObject()
        } else {
            json.null()
        }
        writeRequest(into: &json)
        json.key("output")
        if isBegin { json.literal("[]") } else { output.write(into: &json) }
        json.key("usage")
        if let usage { usage.writeForResponses(into: &json) } else { json.null() }
        json.endObject()
    }

    /// What was asked, and what of it can't be asked otherwise.
    private func writeRequest(into json: inout JSONWriter) {
        json.key("instructions")
        if let instructions { json.string(instructions) } else { json.null() }
        json.key("max_output_tokens")
        if let limit = overrides.maxTokens { json.int(limit) } else { json.null() }
        json.metadata(metadata)
        json.field("model", model)
        json.field("parallel_tool_calls", true)
        json.key("previous_response_id")
        if let previous { json.string(previous.text) } else { json.null() }
        json.field("store", true)
        json.key("temperature")
        if let value = overrides.temperature { json.double(value) } else { json.null() }
        json.key("text")
        json.literal(#"{"format":{"type":"text"}}"#)
        json.field("tool_choice", "auto")
        json.key("tools")
        json.literal("[]")
        json.key("top_p")
        if let value = overrides.topP { json.double(value) } else { json.null() }
    }
}

extension JSONWriter {
    /// The member `metadata`.
    mutating func metadata(_ pairs: [(name: String, value: String)]) {
        key("metadata")
        beginObject()
        for pair in pairs {
            key(escaping: pair.name)
            string(pair.value)
        }
        endObject()
    }
}

extension TokenUsage {
    /// As the Responses API counts. The model's server doesn't say what of it was cached, or thought.
    fileprivate func writeForResponses(into json: inout JSONWriter) {
        json.beginObject()
        json.field("input_tokens", promptTokens)
        json.key("input_tokens_details")
        json.literal(#"{"cached_tokens":0,"cache_write_tokens":0}"#)
        json.field("output_tokens", completionTokens)
        json.key("output_tokens_details")
        json.literal(#"{"reasoning_tokens":0}"#)
        json.field("total_tokens", totalTokens)
        json.endObject()
    }
}

extension APIError {
    /// Why exactly is not stored with the turn.
    fileprivate static let brokenOff = APIError(
        .badGateway, type: "server_error", code: "reply_broken_off",
        "The reply broke off; what there is of it is kept.")
}

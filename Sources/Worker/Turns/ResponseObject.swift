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
    private var functions = ClientFunctions()
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
        functions = asked.functions
        turn = opening.turn
        createdAt = opening.known.map { $0.turn.startedAt / 1000 } ?? Int64(Date().timeIntervalSince1970)
        output = ResponseOutput(turn: opening.turn, part: opening.part, serverLabel: serverLabel)
    }

    /// A stored turn, or one part of it, before anything of it is told. What its request said of it beside its messages is not stored.
    init(beginOf turn: Turn, part: Int = 0, of session: SessionID, serverLabel: String) {
        self.session = session
        model = turn.agent
        self.turn = turn.id
        createdAt = turn.startedAt / 1000
        output = ResponseOutput(turn: turn.id, part: part, serverLabel: serverLabel)
    }

    /// The same as it is.
    init(_ stored: StoredTurn, part: Int = 0, of session: SessionID, serverLabel: String) {
        self.init(beginOf: stored.turn, part: part, of: session, serverLabel: serverLabel)
        for event in stored.told { _ = output.take(event) }
        _ = end(stored.turn)
    }

    /// Takes over how the stored turn ended.
    mutating func end(_ turn: Turn) -> [ResponseOutput.Change] {
        if turn.goesOn(after: output.part) {
            state = .completed
            return output.end(.completed)
        }
        usage = turn.usage
        switch turn.ending {
        case .complete, .waiting:
            state = .completed
            completedAt = turn.finishedAt / 1000
        case .cancelled: state = .cancelled
        case .failed: state = .failed(.brokenOff)
        case .running: return []
        }
        return output.end(state == .completed ? .completed : .incomplete, asking: turn.clientCalls)
    }

    /// The turn is durable.
    ///
    /// - Parameter now: seconds since 1970.
    mutating func end(_ report: TurnReport, now: Int64) -> [ResponseOutput.Change] {
        let goesOn = report.turn.goesOn(after: output.part)
        if !goesOn { usage = report.usage }
        switch report.finishReason {
        case .length where !goesOn: state = .incomplete(reason: "max_output_tokens")
        case .contentFilter where !goesOn: state = .incomplete(reason: "content_filter")
        case .length, .contentFilter, .stop, .toolCalls:
            state = .completed
            completedAt = now
        }
        return output.end(
            state == .completed ? .completed : .incomplete, asking: goesOn ? [] : report.turn.clientCalls)
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

extension Turn {
    /// Responses that tell it, or its begin: one up to each wait for a person, and one after the last.
    var parts: Int { pauses.count + (ending == .waiting ? 0 : 1) }

    /// Whether another part follows this one.
    fileprivate func goesOn(after part: Int) -> Bool { part < parts - 1 }
}

extension StoredTurn {
    /// The agent's words and calls; none of a turn whose last words are its client's.
    var told: [TurnEvent] {
        turn.inputCount != nil || turn.messages.last?.role == .assistant ? TurnEvent.replay(self) : []
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
        json.field("id", ResponseID(session: session, turn: turn, part: output.part).text)
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
        json.field("parallel_tool_calls", functions.callsInParallel ?? true)
        json.key("previous_response_id")
        if let previous { json.string(previous.text) } else { json.null() }
        json.field("store", true)
        json.key("temperature")
        if let value = overrides.temperature { json.double(value) } else { json.null() }
        json.key("text")
        json.literal(#"{"format":{"type":"text"}}"#)
        functions.write(into: &json)
        json.key("top_p")
        if let value = overrides.topP { json.double(value) } else { json.null() }
    }
}

extension ClientFunctions {
    /// The members `tool_choice` and `tools`.
    fileprivate func write(into json: inout JSONWriter) {
        json.key("tool_choice")
        switch choice {
        case .auto: json.string("auto")
        case .none: json.string("none")
        case .required: json.string("required")
        case .function(let name):
            json.beginObject()
            json.field("type", "function")
            json.field("name", name)
            json.endObject()
        }
        json.key("tools")
        json.beginArray()
        for function in functions {
            json.beginObject()
            json.field("type", "function")
            json.field("name", function.name)
            json.field("description", function.description)
            json.key("parameters")
            json.raw(function.parameters.utf8)
            json.key("strict")
            if let isStrict = function.isStrict { json.bool(isStrict) } else { json.null() }
            json.endObject()
        }
        json.endArray()
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

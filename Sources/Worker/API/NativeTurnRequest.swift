/// The body of `POST /v1/sessions/{id}/turns`: `{"input": text or messages, "agent"?, "turn_id"?, "user"?}`.
import Agent
import Memory

struct NativeTurnRequest: Sendable {
    var input: [Message] = []
    var agent: String?
    var turnID: TurnID?
    var user: String?
    var overrides = SamplingOverrides()

    /// - Throws: `APIError` that names the field; unknown fields are errors, for this API is our own.
    static func parse(_ body: [UInt8]) throws(APIError) -> NativeTurnRequest {
        var request = NativeTurnRequest()
        var reader = FieldReader(body)
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "input":
                if try reader.kind() == .string {
                    request.input = [Message(role: .user, content: try reader.string() ?? "")]
                } else {
                    try reader.beginArray()
                    while try reader.nextElement(atMost: 64) {
                        request.input.append(try Message(from: &reader, roles: [.user, .tool]))
                    }
                }
            case "agent": request.agent = try reader.string()
            case "user": request.user = try reader.string()
            case "turn_id":
                if let text = try reader.string() {
                    guard let id = TurnID(text) else {
                        throw .invalid(
                            field,
                            "A turn id has 1 to \(TurnID.maximumBytes) bytes and no control characters.")
                    }
                    request.turnID = id
                }
            case "temperature": request.overrides.temperature = try reader.number(in: 0...2)
            case "max_tokens": request.overrides.maxTokens = try reader.integer(in: 1...1_000_000)
            default:
                throw .invalid(
                    field,
                    "`\(field)` is unknown here; the fields are input, agent, turn_id, user, temperature, "
                        + "max_tokens.")
            }
        }
        try reader.end()
        guard request.input.contains(where: { !$0.content.isEmpty }) else {
            throw .invalid("input", "`input` must be a text or an array of messages, and not empty.")
        }
        return request
    }
}

/// `/v1/conversations`: OpenAI's name for a session, so far as its clients need it to begin, look up and forget one.
import Agent
import Foundation
import Memory
import NIOCore
import NIOHTTP1

extension PublicAPI {
    /// Mints an id. Nothing is stored before the conversation's first response.
    func beginConversation(_ request: ServerRequest) throws(APIError) {
        let asked = try ConversationRequest.parse(Array(request.body.readableBytesView))
        let conversation = Self.conversation(
            SessionID.mint(prefix: "conv_").value, createdAt: Int64(Date().timeIntervalSince1970),
            asked.metadata)
        request.exchange.respond(Response(.ok, body: conversation))
    }

    func conversation(_ request: ServerRequest, _ caller: Credentials.Caller, _ id: String) async throws {
        let scope = try scope(caller, request, session: try SessionID(id, param: "conversation id"))
        guard let session = try await memory.describe(scope) else { throw APIError.unknownConversation(id) }
        request.exchange.respond(
            Response(.ok, body: Self.conversation(id, createdAt: session.createdAt / 1000, [])))
    }

    /// As `DELETE /v1/sessions/{id}`, in the words of OpenAI's API.
    func forgetConversation(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ id: String
    ) async throws {
        let scope = try scope(caller, request, session: try SessionID(id, param: "conversation id"))
        let done = try await forget(scope)
        var json = JSONWriter()
        json.beginObject()
        json.field("id", id)
        json.field("object", "conversation.deleted")
        json.field("deleted", done)
        json.endObject()
        request.exchange.respond(Response(done ? .ok : .accepted, body: json.bytes))
    }

    private static func conversation(
        _ id: String, createdAt: Int64, _ metadata: [(name: String, value: String)]
    ) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.field("id", id)
        json.field("object", "conversation")
        json.field("created_at", createdAt)
        json.metadata(metadata)
        json.endObject()
        return json.bytes
    }
}

/// The body of `POST /v1/conversations`; it may be empty.
struct ConversationRequest: Sendable {
    /// In the client's order; repeated in the answer, and not stored.
    var metadata: [(name: String, value: String)] = []

    /// - Throws: `APIError` that names the field.
    static func parse(_ body: [UInt8]) throws(APIError) -> ConversationRequest {
        var request = ConversationRequest()
        guard !body.isEmpty else { return request }
        var reader = FieldReader(body)
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "metadata": request.metadata = try reader.metadata()
            case "items":
                if try reader.null() { break }
                try reader.beginArray()
                if try reader.nextElement(atMost: ChatCompletionsRequest.maxMessages) {
                    throw .unsupported(
                        field,
                        "A conversation begins with its first response: send these items in that one's `input`."
                    )
                }
            default: try reader.skip()
            }
        }
        try reader.end()
        return request
    }
}

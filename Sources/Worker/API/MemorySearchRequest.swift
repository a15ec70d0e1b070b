/// The body of `POST /v1/memories/search`: `{"query": text, "limit"?: 1...50, "user"?, "session_id"?}`.
import Agent

struct MemorySearchRequest: Sendable {
    var query = ""
    var limit = 6
    var user: String?
    var sessionID: String?

    static func parse(_ body: [UInt8]) throws(APIError) -> MemorySearchRequest {
        var request = MemorySearchRequest()
        var reader = FieldReader(body)
        try reader.beginObject()
        while let field = try reader.nextField() {
            switch field {
            case "query": request.query = try reader.string() ?? ""
            case "limit", "topK": request.limit = try reader.integer(in: 1...50) ?? request.limit
            case "user": request.user = try reader.string()
            case "session_id": request.sessionID = try reader.string()
            default:
                throw .invalid(
                    field,
                    "`\(field)` is unknown here; the fields are query, limit (or topK), user, session_id.")
            }
        }
        try reader.end()
        guard !request.query.isEmpty, request.query.utf8.count <= 8192 else {
            throw .invalid("query", "`query` must be a text of 1 to 8192 bytes.")
        }
        return request
    }
}

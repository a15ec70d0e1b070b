/// `POST /v1/memories/search`: what recall would find, for people and programs that ask for it themselves.
import Agent
import Memory
import NIOHTTP1

extension PublicAPI {
    func searchMemories(_ request: ServerRequest, _ caller: Credentials.Caller) async throws {
        let search = try MemorySearchRequest.parse(Array(request.body.readableBytesView))
        let headers = request.head.headers
        let principal = try caller.principal(pool: pool, headers: headers, user: search.user)
        let session = try SessionID.named(in: headers, metadata: search.sessionID)
        guard principal.endUser != nil || session != nil else {
            throw APIError.invalid(
                "session_id",
                "Without an end user memories belong to one session: name it by `session_id` or \(SessionID.header), "
                    + "or name the end user.")
        }
        let scope = Scope(principal: principal, sessionID: session?.value ?? "")
        // Finds what was redacted when it was stored, and has nothing embedded that is not to be sent on.
        let redaction = conductor.engine.guards.redaction
        let recall = await memory.recall(
            RecallQuery(scope: scope, text: redaction.redacted(search.query), topK: search.limit))
        var json = JSONWriter(capacity: 2048)
        json.beginObject()
        json.field("object", "list")
        json.key("data")
        json.beginArray()
        for memory in recall.memories { memory.write(into: &json) }
        json.endArray()
        json.key("skipped")
        json.beginArray()
        for stage in recall.skipped { json.string(stage.rawValue) }
        json.endArray()
        json.endObject()
        request.exchange.respond(Response(.ok, body: json.bytes))
    }
}

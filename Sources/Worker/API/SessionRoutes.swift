/// A session as a resource: what is known of it, its messages, its release and its forgetting.
import Agent
import Memory
import NIOCore
import NIOHTTP1

extension PublicAPI {
    func describe(_ request: ServerRequest, _ caller: Credentials.Caller, _ id: String) async throws {
        let scope = try scope(caller, request, session: try SessionID(id, param: "session id"))
        guard let session = try await memory.describe(scope) else { throw APIError.unknownSession(id) }
        var json = JSONWriter()
        json.beginObject()
        json.field("id", session.sessionID)
        json.field("object", "session")
        json.field("turns", session.turnCount)
        json.field("archived_through", session.archivedThrough)
        json.field("agent", session.activeAgent)
        json.key("activated_skills")
        json.beginArray()
        for skill in session.activatedSkills { json.string(skill) }
        json.endArray()
        json.field("summary", session.rollingSummary)
        json.field("created_at", session.createdAt / 1000)
        json.field("last_turn_at", session.lastTurnAt / 1000)
        let last = try await memory.history(scope, after: max(0, session.turnCount - 1), limit: 1).last?.turn
        if let last, !last.awaitingApproval.isEmpty { last.writeAwaited(into: &json) }
        json.endObject()
        request.exchange.respond(Response(.ok, body: json.bytes))
    }

    /// Without `limit` the whole kept history, a page of turns at a time, so that its length costs no memory.
    func messages(_ request: ServerRequest, _ caller: Credentials.Caller, _ id: String) async throws {
        let scope = try scope(caller, request, session: try SessionID(id, param: "session id"))
        let query = QueryItems(request.head.uri)
        let limit = try query.integer("limit", in: 1...10_000)
        var after = try query.integer("after", in: 0...Int(Int32.max)) ?? 0
        let page = 200
        var turns = try await memory.history(scope, after: after, limit: min(page, limit ?? page))
        if turns.isEmpty, try await memory.describe(scope) == nil { throw APIError.unknownSession(id) }

        let exchange = request.exchange
        exchange.openStream(ResponseHead(.ok, [("Content-Type", "application/json")]), heartbeat: " ")
        var left = limit ?? Int.max
        var prefix: StaticString = "{\"object\":\"list\",\"data\":["
        var hasMore = false
        while !turns.isEmpty {
            var json = JSONWriter(capacity: 4096)
            for stored in turns {
                for message in stored.turn.messages {
                    json.frame(prefix)
                    prefix = ","
                    message.write(of: stored, into: &json)
                }
            }
            try await exchange.send(framed(json.bytes, exchange))
            left -= turns.count
            after = turns[turns.count - 1].sequence
            turns = try await memory.history(scope, after: after, limit: max(1, min(page, left)))
            if left <= 0 {
                hasMore = !turns.isEmpty
                break
            }
        }
        var json = JSONWriter()
        if prefix.utf8CodeUnitCount > 1 { json.frame(prefix) }
        json.frame(hasMore ? "],\"has_more\":true}" : "],\"has_more\":false}")
        try await exchange.send(framed(json.bytes, exchange))
        exchange.finish()
    }

    /// By the worker that has the session in L1.
    func release(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ id: String, _ origin: RequestOrigin
    ) async throws {
        let session = try SessionID(id, param: "session id")
        let scope = try scope(caller, request, session: session)
        if origin == .client, let owner = await owner(of: scope),
            case .answered = await relay?.forward(request, caller, session: session, to: owner)
        {
            return
        }
        try await memory.release(scope)
        request.exchange.respond(Response(.ok, body: Self.outcome(id, "released", true)))
    }

    /// 200 once nothing of the session is left in any tier; 202 while something still is, and asking again tells.
    func forget(_ request: ServerRequest, _ caller: Credentials.Caller, _ id: String) async throws {
        let scope = try scope(caller, request, session: try SessionID(id, param: "session id"))
        let done = try await forget(scope)
        request.exchange.respond(
            Response(done ? .ok : .accepted, body: Self.outcome(id, "deleted", done)))
    }

    /// False while something of the session is still left.
    func forget(_ scope: Scope) async throws(MemoryError) -> Bool {
        let isDone = try await memory.forget(scope) == .done
        feeds.drop(scope.session)
        return isDone
    }

    private static func outcome(_ id: String, _ field: StaticString, _ value: Bool) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.field("id", id)
        json.field("object", "session")
        json.field(field, value)
        json.endObject()
        return json.bytes
    }

    private func framed(_ bytes: [UInt8], _ exchange: Exchange) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: bytes.count + 16)
        buffer.writeFramed(exchange.streamFraming) { $0.writeBytes(bytes) }
        return buffer
    }
}

extension Turn {
    /// What a client needs to decide about the calls that wait for a person.
    fileprivate func writeAwaited(into json: inout JSONWriter) {
        json.key("awaiting_approval")
        json.beginObject()
        json.field("turn_id", id.value)
        json.key("calls")
        json.beginArray()
        for call in awaitingApproval {
            json.beginObject()
            json.field("id", call.id)
            json.field("name", call.name)
            json.field("arguments", call.arguments)
            json.endObject()
        }
        json.endArray()
        json.endObject()
    }
}

extension Message {
    fileprivate func write(of stored: StoredTurn, into json: inout JSONWriter) {
        json.beginObject()
        json.field("object", "message")
        json.field("role", role.rawValue)
        json.field("content", content)
        if let name { json.field("name", name) }
        if let toolCallID { json.field("tool_call_id", toolCallID) }
        if let toolCalls {
            json.key("tool_calls")
            json.beginArray()
            for call in toolCalls { call.write(into: &json) }
            json.endArray()
        }
        json.field("turn", stored.sequence)
        json.field("turn_id", stored.turn.id.value)
        json.field("agent", stored.turn.agent)
        json.field("ending", stored.turn.ending.rawValue)
        if stored.turn.concurrent { json.field("concurrent", true) }
        if let point = stored.turn.forkedAfter { json.field("forked_after", point) }
        json.field("created_at", (role == .user ? stored.turn.startedAt : stored.turn.finishedAt) / 1000)
        json.endObject()
    }
}

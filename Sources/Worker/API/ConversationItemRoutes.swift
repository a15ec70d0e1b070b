/// `/v1/conversations/{id}/items`: a session's turns as items, a page at a time, read from the history.
import Agent
import Memory
import NIOCore
import NIOHTTP1

extension PublicAPI {
    /// All turns in the order in which they were stored, also those that a fork has left behind.
    func conversationItems(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ id: String
    ) async throws {
        let query = try ItemQuery(QueryItems(request.head.uri))
        let session = try SessionID(id, param: "conversation id")
        let scope = try scope(caller, request, session: session)
        guard let described = try await memory.describe(scope) else { throw APIError.unknownConversation(id) }
        var items: [TurnItems.Item] = []
        // The turn up to which, in the query's order, all is read.
        var place = query.isAscending ? 0 : described.turnCount + 1
        if let after = query.after {
            guard let stored = try await turn(of: after, scope) else { throw APIError.unknownCursor(after) }
            items = try query.rest(of: query.ordered(self.items(of: stored, session)))
            place = stored.sequence
        }
        while items.count <= query.limit {
            let turns = try await turns(beside: place, query, scope)
            guard let last = turns.last else { break }
            for stored in turns { items += query.ordered(self.items(of: stored, session)) }
            place = last.sequence
        }
        request.exchange.respond(Response(.ok, body: ItemPage(items, limit: query.limit).json))
    }

    func conversationItem(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ id: String, item name: String
    ) async throws {
        let session = try SessionID(id, param: "conversation id")
        let scope = try scope(caller, request, session: session)
        guard let stored = try await turn(of: name, scope),
            let item = items(of: stored, session).first(where: { $0.id == name })
        else {
            throw APIError(
                .notFound, code: "item_not_found",
                "There is no item `\(name)` in a conversation `\(id)` of this caller.")
        }
        request.exchange.respond(Response(.ok, body: item.json))
    }

    private func items(of stored: StoredTurn, _ session: SessionID) -> [TurnItems.Item] {
        TurnItems(stored: stored, session: session, serverLabel: conductor.poolAlias).all
    }

    private func turn(of item: String, _ scope: Scope) async throws(MemoryError) -> StoredTurn? {
        guard let id = ResponseItemID.turn(of: item) else { return nil }
        return try await memory.turn(scope, id: id)
    }

    /// The next turns in the query's order; none at the end of what is kept. A turn has one item at least.
    private func turns(
        beside place: Int, _ query: ItemQuery, _ scope: Scope
    ) async throws(MemoryError) -> [StoredTurn] {
        if query.isAscending { return try await memory.history(scope, after: place, limit: query.limit + 1) }
        let first = max(0, place - 2 - query.limit)
        guard place - 1 > first else { return [] }
        let turns = try await memory.history(scope, after: first, limit: place - 1 - first)
        // Where those before are not kept any more, later ones are answered.
        return turns.filter { $0.sequence < place }.reversed()
    }
}

extension APIError {
    static let itemsNotTaken = unsupported(
        "items",
        "A conversation's items are what its responses were asked and told: send these as the `input` of the next response."
    )
}

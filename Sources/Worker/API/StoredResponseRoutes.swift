/// `GET /v1/responses/{id}`: a response out of the history, whole or as a stream, and what it answers.
import Agent
import Memory
import NIOCore
import NIOHTTP1

extension PublicAPI {
    func response(_ request: ServerRequest, _ caller: Credentials.Caller, _ text: String) async throws {
        let query = QueryItems(request.head.uri)
        let isStreamed = try query.bool("stream") ?? false
        let last = try query.integer("starting_after", in: 0...Int(Int32.max))
        guard isStreamed || last == nil else {
            throw APIError.invalid("starting_after", "`starting_after` is for streams: add `stream=true`.")
        }
        let (id, stored) = try await storedResponse(request, caller, text)
        guard isStreamed else {
            let response = ResponseObject(
                stored, part: id.part, of: id.session, serverLabel: conductor.poolAlias)
            return request.exchange.respond(Response(.ok, body: response.json))
        }
        let exchange = request.exchange
        guard
            let events = ResponseStreamEncoder.retold(
                stored, id, serverLabel: conductor.poolAlias, after: last, framing: exchange.streamFraming)
        else { throw APIError.responseRuns }
        guard events.readableBytes > 0 else { throw APIError.noEvents(after: last ?? 0) }
        exchange.openStream(.eventStream([]), heartbeat: ChatStreamEncoder.heartbeat)
        try await exchange.send(events)
        exchange.finish()
    }

    /// The messages that began the response's turn, or the decisions with which it went on.
    func responseInput(_ request: ServerRequest, _ caller: Credentials.Caller, _ text: String) async throws {
        let query = try ItemQuery(QueryItems(request.head.uri))
        let (id, stored) = try await storedResponse(request, caller, text)
        let items = TurnItems(stored: stored, session: id.session, serverLabel: conductor.poolAlias)
            .input(ofPart: id.part)
        request.exchange.respond(Response(.ok, body: try query.page(of: items).json))
    }

    private func storedResponse(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ text: String
    ) async throws -> (ResponseID, StoredTurn) {
        guard let id = ResponseID(text) else { throw APIError.unknownResponse(text) }
        let scope = try scope(caller, request, session: id.session)
        guard let stored = try await memory.turn(scope, id: id.turn), id.part < stored.turn.parts else {
            throw APIError.unknownResponse(text)
        }
        return (id, stored)
    }
}

extension APIError {
    /// Such a turn ends with the client that asked for it, or goes on when it is sent again: nobody else can follow it.
    fileprivate static let responseRuns = APIError(
        .conflict, code: "response_in_progress",
        "This response is not at its end, and is streamed to the client that asked for it alone: read it without `stream`. A turn that "
            + "can be followed is `POST /v1/sessions/{id}/turns`.", param: "stream")

    fileprivate static func noEvents(after last: Int) -> APIError {
        .invalid(
            "starting_after",
            "This response has no event after \(last). It is told from its stored turn, in other pieces than the first time: begin without "
                + "`starting_after`.")
    }
}

/// `/v1/responses`: OpenAI's Responses API over the turn engine, streamed and whole, and its responses as they are stored.
import Agent
import Foundation
import Memory
import NIOCore
import NIOHTTP1

extension PublicAPI {
    func responses(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ origin: RequestOrigin
    ) async throws {
        let body = Array(request.body.readableBytesView)
        let asked = try ResponsesRequest.parse(body)
        let headers = request.head.headers
        let principal = try caller.principal(pool: pool, headers: headers, user: asked.user)
        let named = try Self.session(of: asked, headers)
        // Who names what the turn goes on after says that all of its input is new; else the history decides, as in a chat.
        let isAllNew = asked.previous != nil || asked.conversation != nil
        let (prior, new) =
            isAllNew ? ([], asked.messages) : HistoryReconciliation.split(asked.messages)
        var order = TurnOrder(
            agent: try agent(named: asked.model, param: "model"), prior: prior, new: new,
            after: asked.previous?.turn, instructions: asked.allInstructions, overrides: asked.overrides,
            functions: asked.functions, field: "input")
        if let decisions = asked.decisions {
            try decisions.order(&order, after: asked.previous, in: named)
        } else {
            try order.identify(headers, body: body)
        }

        let session = session(named, of: order, principal)
        let (model, serverLabel) = (asked.model ?? conductor.engine.entryAgent, conductor.poolAlias)
        let framing = request.exchange.streamFraming
        let reply = TurnReplyWriter(
            exchange: request.exchange, session: session,
            setsCookie: named == nil && SessionID.wantsCookie(headers), isStreamed: asked.stream,
            scope: Scope(principal: principal, sessionID: session.value), feeds: feeds
        ) { opening in
            ResponseReply(
                ResponseObject(
                    to: asked, opening, session: session, model: model, serverLabel: serverLabel),
                framing: asked.stream ? framing : nil)
        }
        try await place(
            request, caller, session, turn: order.turnID, origin, isStreamed: asked.stream
        ) { [order] others in
            do {
                try await conductor.conduct(
                    order, scope: reply.scope, others: others,
                    clientLeft: { await request.exchange.clientLeft() },
                    opened: { reply.opened($0) }, emit: { try await reply.emit($0) })
            } catch let fault as DecisionFault {
                throw asked.decisions?.error(fault) ?? APIError(fault)
            }
        }
    }

    /// The session that the request names; nil where it names none.
    static func session(of asked: ResponsesRequest, _ headers: HTTPHeaders) throws(APIError) -> SessionID? {
        guard let session = asked.previous?.session ?? asked.conversation else {
            return try SessionID.named(in: headers, metadata: asked.sessionID)
        }
        let others = [
            (SessionID.header, headers.first(name: SessionID.header)),
            ("metadata.session_id", asked.sessionID),
        ]
        for case (let field, let other?) in others where other != session.value {
            let name = asked.previous == nil ? "conversation" : "previous_response_id"
            throw .invalid(field, "`\(field)` names another session than `\(name)`: leave it out.")
        }
        return session
    }
}

private struct ResponseReply: TurnReply {
    private var response: ResponseObject
    /// Nil for a reply in one piece.
    private var encoder: ResponseStreamEncoder?

    init(_ response: ResponseObject, framing: BodyFraming?) {
        self.response = response
        encoder = framing.map { ResponseStreamEncoder(response, framing: $0) }
    }

    mutating func take(_ events: ArraySlice<TurnEvent>) -> ByteBuffer? {
        guard encoder == nil else { return encoder?.events(events) }
        for event in events { _ = response.output.take(event) }
        return nil
    }

    mutating func end(_ report: TurnReport) -> TurnReplyEnd {
        let now = Int64(Date().timeIntervalSince1970)
        if let last = encoder?.end(report, now: now) { return .stream(last) }
        _ = response.end(report, now: now)
        return .body(response.json)
    }

    mutating func error(_ error: APIError) -> ByteBuffer? { encoder?.error(error) }
}

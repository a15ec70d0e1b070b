/// `POST /v1/chat/completions`: OpenAI's chat API over the turn engine, streamed and whole.
import Agent
import Foundation
import Memory
import NIOCore
import NIOHTTP1

extension PublicAPI {
    func chatCompletions(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ origin: RequestOrigin
    ) async throws {
        let body = Array(request.body.readableBytesView)
        let chat = try ChatCompletionsRequest.parse(body)
        let headers = request.head.headers
        let (prior, new) = HistoryReconciliation.split(chat.messages)
        var order = TurnOrder(
            agent: try agent(named: chat.model, param: "model"), prior: prior, new: new,
            instructions: chat.instructions, overrides: chat.overrides, functions: chat.functions)
        try order.identify(headers, body: body)

        let principal = try caller.principal(pool: pool, headers: headers, user: chat.user)
        let named = try SessionID.named(in: headers, metadata: chat.sessionID)
        let session = session(named, of: order, principal)
        let model = chat.model ?? conductor.engine.entryAgent
        let framing = request.exchange.streamFraming
        let reply = TurnReplyWriter(
            exchange: request.exchange, session: session,
            setsCookie: named == nil && SessionID.wantsCookie(headers), isStreamed: chat.stream,
            scope: Scope(principal: principal, sessionID: session.value), feeds: feeds
        ) { opening in
            ChatReply(
                turn: opening.turn, session: session, model: model, framing: chat.stream ? framing : nil,
                includeUsage: chat.includeUsage)
        }
        try await place(
            request, caller, session, turn: order.turnID, origin, isStreamed: chat.stream
        ) { [order] others in
            try await conductor.conduct(
                order, scope: reply.scope, others: others,
                clientLeft: { await request.exchange.clientLeft() },
                opened: { reply.opened($0) }, emit: { try await reply.emit($0) })
        }
    }
}

/// The agent's words, and the calls that are the client's to carry out: what the pool's tools did is not told to clients of the chat API.
private struct ChatReply: TurnReply {
    private let turn: TurnID
    private let session: SessionID
    private let model: String
    private let created = Int64(Date().timeIntervalSince1970)
    /// Nil for a reply in one piece.
    private var encoder: ChatStreamEncoder?
    /// The whole reply's text, where it isn't streamed.
    private var text = ""

    init(turn: TurnID, session: SessionID, model: String, framing: BodyFraming?, includeUsage: Bool) {
        self.turn = turn
        self.session = session
        self.model = model
        if let framing {
            encoder = ChatStreamEncoder(
                turn: turn, created: created, model: model, includeUsage: includeUsage, framing: framing)
        }
    }

    mutating func take(_ events: ArraySlice<TurnEvent>) -> ByteBuffer? {
        var pieces: [String] = []
        for event in events {
            switch event {
            case .text(let piece): pieces.append(piece)
            case .approvalRequired(let call): pieces.append(notice(of: call))
            default: break
            }
        }
        guard !pieces.isEmpty else { return nil }
        if encoder == nil { for piece in pieces { text += piece } }
        return encoder?.text(pieces)
    }

    /// What a person reads who talks through a client that knows of no approvals. It is no part of the history.
    private func notice(of call: ToolCall) -> String {
        "\n[The call \(call.name) \(call.arguments) waits for approval (POST /v1/sessions/\(session.value)/approvals, "
            + "call_id \(call.id)). Any other message refuses it.]"
    }

    mutating func end(_ report: TurnReport) -> TurnReplyEnd {
        // Told once the turn is durable: a call that its answer could not be brought for would be lost on the client.
        let calls = report.turn.clientCalls
        if let last = encoder?.end(report.finishReason, calls: calls, usage: report.usage) {
            return .stream(last)
        }
        return .body(
            ChatCompletion.encode(
                turn: report.turn.id, created: created, model: model, text: text, calls: calls,
                finish: report.finishReason, usage: report.usage))
    }

    mutating func error(_ error: APIError) -> ByteBuffer? { encoder?.error(error) }
}

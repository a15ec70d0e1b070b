/// `POST /v1/chat/completions`: OpenAI's chat API over the turn engine, streamed and whole.
import Agent
import Crypto
import Foundation
import Memory
import NIOCore
import NIOHTTP1
import Synchronization

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
            instructions: chat.instructions, overrides: chat.overrides)
        if let key = headers.first(name: "idempotency-key") {
            guard let id = TurnID(key) else {
                throw APIError.invalid(
                    "Idempotency-Key",
                    "A turn id has 1 to \(TurnID.maximumBytes) bytes and no control characters.")
            }
            order.turnID = id
        }
        let digest = SHA256.hash(data: body).hexPrefix
        order.digest = digest
        order.isRetry = headers.first(name: "x-stainless-retry-count").flatMap { Int($0) } ?? 0 > 0

        let principal = try caller.principal(pool: pool, headers: headers, user: chat.user)
        let named = try SessionID.named(in: headers, metadata: chat.sessionID)
        let session: SessionID
        if let named {
            session = named
        } else {
            let key = RecentRequests.Key(principal: principal, digest: order.turnID?.value ?? digest)
            let again = order.isRetry || order.turnID != nil ? recent.session(for: key) : nil
            session = again ?? .mint()
            if again == nil { recent.remember(session, for: key) }
        }
        let reply = ChatReplyWriter(
            exchange: request.exchange, session: session,
            setsCookie: named == nil && SessionID.wantsCookie(headers),
            model: chat.model ?? conductor.engine.entryAgent, streams: chat.stream,
            includeUsage: chat.includeUsage,
            scope: Scope(principal: principal, sessionID: session.value), feeds: feeds)
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

/// Turns a turn's events into the reply that the request asked for.
private final class ChatReplyWriter: Sendable {
    private let exchange: Exchange
    private let session: SessionID
    private let setsCookie: Bool
    private let model: String
    private let streams: Bool
    private let includeUsage: Bool
    let scope: Scope
    private let feeds: SessionFeeds
    private let state = Mutex(State())

    private struct State: Sendable {
        var encoder: ChatStreamEncoder?
        /// Only while somebody follows the session's events.
        var feed: NativeEventEncoder?
        var opening: TurnOpening?
        var fields: [(name: String, value: String)] = []
        var created: Int64 = 0
        /// The whole reply's text, where it isn't streamed.
        var text = ""
    }

    init(
        exchange: Exchange, session: SessionID, setsCookie: Bool, model: String, streams: Bool,
        includeUsage: Bool, scope: Scope, feeds: SessionFeeds
    ) {
        self.exchange = exchange
        self.session = session
        self.setsCookie = setsCookie
        self.model = model
        self.streams = streams
        self.includeUsage = includeUsage
        self.scope = scope
        self.feeds = feeds
    }

    func opened(_ opening: TurnOpening) {
        var fields = opening.fields(session: session)
        if setsCookie { fields.append(session.setCookie) }
        let created = Int64(Date().timeIntervalSince1970)
        let followed = feeds.hasSubscribers(scope.session)
        state.withLock { state in
            state.opening = opening
            state.fields = fields
            state.created = created
            if streams {
                state.encoder = ChatStreamEncoder(
                    turn: opening.turn, created: created, model: model, includeUsage: includeUsage,
                    framing: exchange.streamFraming)
            }
            if followed {
                var feed = NativeEventEncoder(turn: opening.turn)
                let started = feed.started(
                    session: session.value, agent: opening.agent, tier: opening.tier)
                feeds.publish(scope.session, [started], logged: false, end: nil)
                state.feed = feed
            }
        }
        if streams {
            exchange.openStream(.eventStream(fields), heartbeat: ChatStreamEncoder.heartbeat)
        }
    }

    func emit(_ events: [TurnEvent]) async throws(ClientLeft) {
        follow(events)
        var pieces: [String] = []
        for event in events {
            switch event {
            case .text(let text): pieces.append(text)
            case .committed(let report):
                try await send(&pieces)
                try await end(report)
            case .failed(let failure):
                try await send(&pieces)
                fail(APIError(failure))
            case .approvalRequired(let call):
                pieces.append(Self.notice(of: call, in: session))
            case .step, .recalled, .toolCall, .toolResult, .agentChanged: break
            }
        }
        try await send(&pieces)
    }

    /// What a person reads who talks through a client that knows of no approvals. It is no part of the history.
    private static func notice(of call: ToolCall, in session: SessionID) -> String {
        "\n[The call \(call.name) \(call.arguments) waits for approval (POST /v1/sessions/\(session.value)/approvals, "
            + "call_id \(call.id)). Any other message refuses it.]"
    }

    private func send(_ pieces: inout [String]) async throws(ClientLeft) {
        guard !pieces.isEmpty else { return }
        let taken = pieces
        pieces = []
        let bytes = state.withLock { state -> ByteBuffer? in
            if state.encoder == nil { for piece in taken { state.text += piece } }
            return state.encoder?.text(taken)
        }
        if let bytes { try await exchange.send(bytes) }
    }

    private func end(_ report: TurnReport) async throws(ClientLeft) {
        let last = state.withLock { $0.encoder?.end(report.finishReason, usage: report.usage) }
        if let last {
            try await exchange.send(last)
            exchange.finish()
            return
        }
        let (fields, body) = state.withLock { state in
            (
                state.fields,
                ChatCompletion.encode(
                    turn: report.turn.id, created: state.created, model: model, text: state.text,
                    finish: report.finishReason, usage: report.usage)
            )
        }
        exchange.respond(Response(.ok, fields, body: body))
    }

    /// A status while nothing has been sent, else an error event that the SDKs raise.
    private func fail(_ error: APIError) {
        let (late, fields) = state.withLock { ($0.encoder?.error(error), $0.fields) }
        var response = error.response
        response.head.fields += fields
        exchange.respond(response, lateBytes: late)
    }

    private func follow(_ events: [TurnEvent]) {
        let encoded = state.withLock { state -> [EncodedEvent] in
            guard state.feed != nil else { return [] }
            return events.compactMap { state.feed?.encode($0) }
        }
        if !encoded.isEmpty {
            feeds.publish(scope.session, encoded, logged: false, end: TurnEnd(events.last))
        }
    }
}

extension TurnOpening {
    /// What every reply to a turn says of it.
    func fields(session: SessionID) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = [
            (SessionID.header, session.value), ("X-Memory-Tier", tier.rawValue), ("X-Turn-Id", turn.value),
        ]
        if let forkedAfter { fields.append(("X-Session-Forked-After", String(forkedAfter))) }
        return fields
    }
}

extension SHA256Digest {
    /// The first half, in hexadecimal.
    fileprivate var hexPrefix: String {
        prefix(16).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}

/// Turns a turn's events into the reply of one of OpenAI's APIs, and tells them to whoever follows the session.
import Agent
import Memory
import NIOCore
import Synchronization

/// A reply in the making: the one part in which the APIs differ.
protocol TurnReply: Sendable {
    /// What a client is sent of events that arrived together, framed; nil where that is nothing yet.
    mutating func take(_ events: ArraySlice<TurnEvent>) -> ByteBuffer?
    /// The reply's end, sent once the turn is durable.
    mutating func end(_ report: TurnReport) -> TurnReplyEnd
    /// What ends a stream whose head has gone; nil for a reply in one piece.
    mutating func error(_ error: APIError) -> ByteBuffer?
}

enum TurnReplyEnd: Sendable {
    /// The last events of a stream, framed.
    case stream(ByteBuffer)
    /// A whole JSON body.
    case body([UInt8])
}

/// A turn whose client leaves ends with it: the reply goes out at the client's speed, and the turn with the reply.
final class TurnReplyWriter<Reply: TurnReply>: Sendable {
    private let exchange: Exchange
    private let session: SessionID
    private let setsCookie: Bool
    private let isStreamed: Bool
    let scope: Scope
    private let feeds: SessionFeeds
    private let begin: @Sendable (TurnOpening) -> Reply
    private let state = Mutex(State())

    private struct State: Sendable {
        var reply: Reply?
        /// Only while somebody follows the session's events.
        var feed: NativeEventEncoder?
        var fields: [(name: String, value: String)] = []
    }

    init(
        exchange: Exchange, session: SessionID, setsCookie: Bool, isStreamed: Bool, scope: Scope,
        feeds: SessionFeeds, begin: @escaping @Sendable (TurnOpening) -> Reply
    ) {
        self.exchange = exchange
        self.session = session
        self.setsCookie = setsCookie
        self.isStreamed = isStreamed
        self.scope = scope
        self.feeds = feeds
        self.begin = begin
    }

    func opened(_ opening: TurnOpening) {
        var fields = opening.fields(session: session)
        if setsCookie { fields.append(session.setCookie) }
        let reply = begin(opening)
        let followed = feeds.hasSubscribers(scope.session)
        state.withLock { state in
            state.reply = reply
            state.fields = fields
            if followed {
                var feed = NativeEventEncoder(turn: opening.turn)
                let started = feed.started(
                    session: session.value, agent: opening.agent, route: opening.route, tier: opening.tier)
                feeds.publish(scope.session, [started], logged: false, end: nil)
                state.feed = feed
            }
        }
        if isStreamed {
            exchange.openStream(.eventStream(fields), heartbeat: ChatStreamEncoder.heartbeat)
        }
    }

    func emit(_ events: [TurnEvent]) async throws(ClientLeft) {
        follow(events)
        let isLast = events.last?.endsTurn == true
        let bytes = state.withLock { $0.reply?.take(isLast ? events.dropLast() : events[...]) }
        if let bytes { try await exchange.send(bytes) }
        switch events.last {
        case .committed(let report): try await end(report)
        case .failed(let failure): fail(APIError(failure))
        default: break
        }
    }

    private func end(_ report: TurnReport) async throws(ClientLeft) {
        let (end, fields) = state.withLock { ($0.reply?.end(report), $0.fields) }
        switch end {
        case .stream(let last):
            try await exchange.send(last)
            exchange.finish()
        case .body(let body): exchange.respond(Response(.ok, fields, body: body))
        case nil: break
        }
    }

    /// A status while nothing has been sent, else an error event that the SDKs know.
    private func fail(_ error: APIError) {
        let (late, fields) = state.withLock { ($0.reply?.error(error), $0.fields) }
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

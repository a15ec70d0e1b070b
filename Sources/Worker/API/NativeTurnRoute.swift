/// `POST /v1/sessions/{id}/turns` and `GET /v1/sessions/{id}/events`: turns that run on without their client, and the streams that follow them.
import Agent
import Memory
import NIOCore
import NIOHTTP1
import Synchronization

extension PublicAPI {
    func nativeTurn(_ request: ServerRequest, _ caller: Credentials.Caller, _ id: String) async throws {
        let native = try NativeTurnRequest.parse(Array(request.body.readableBytesView))
        let session = try SessionID(id, param: "session id")
        let scope = try scope(caller, request, user: native.user, session: session)
        let order = TurnOrder(
            agent: try agent(named: native.agent, param: "agent"), new: native.input,
            overrides: native.overrides, turnID: native.turnID)
        let writer = NativeTurnWriter(
            exchange: request.exchange, session: session, scope: scope, feeds: feeds)
        try await conductor.conduct(
            order, scope: scope, clientLeft: nil, opened: { await writer.opened($0) },
            emit: { await writer.emit($0) })
    }

    func events(_ request: ServerRequest, _ caller: Credentials.Caller, _ id: String) throws {
        let scope = try scope(caller, request, session: try SessionID(id, param: "session id"))
        if conductor.admission.counts.isDraining { throw APIError.draining }
        let last = request.head.headers.first(name: "last-event-id")
        let (feeds, session) = (feeds, scope.session)
        request.exchange.becomeEventStream(.eventStream([])) { loop in
            EventStreamHandler(loop: loop, feeds: feeds, session: session, lastEventID: last)
        }
    }
}

/// Writes a turn's events into the session's log at the model's speed, and to its own client at the client's.
private final class NativeTurnWriter: Sendable {
    private let exchange: Exchange
    private let session: SessionID
    private let scope: Scope
    private let feeds: SessionFeeds
    private let state: Mutex<State>

    private struct State: Sendable {
        var encoder: NativeEventEncoder?
        /// The next event of the log that the client has not been sent.
        var cursor = 0
    }

    init(exchange: Exchange, session: SessionID, scope: Scope, feeds: SessionFeeds) {
        self.exchange = exchange
        self.session = session
        self.scope = scope
        self.feeds = feeds
        state = Mutex(State())
    }

    func opened(_ opening: TurnOpening) async {
        feeds.beginTurn(scope.session, logged: true)
        exchange.openStream(
            .eventStream(opening.fields(session: session)), heartbeat: ChatStreamEncoder.heartbeat)
        let cursor = feeds.nextIndex(scope.session)
        let started = state.withLock { state in
            var encoder = NativeEventEncoder(turn: opening.turn)
            defer { state.encoder = encoder }
            state.cursor = cursor
            return encoder.started(session: session.value, agent: opening.agent, tier: opening.tier)
        }
        feeds.publish(scope.session, [started], logged: true)
        await catchUp()
    }

    /// The turn never waits for its client; at the end, the client is sent the rest at its own speed.
    func emit(_ events: [TurnEvent]) async {
        let encoded = state.withLock { state in events.compactMap { state.encoder?.encode($0) } }
        if !encoded.isEmpty { feeds.publish(scope.session, encoded, logged: true) }
        if events.last?.endsTurn == true {
            await sendRest()
        } else {
            await catchUp()
        }
    }

    private func catchUp() async {
        while let (bytes, next) = unsent(), await exchange.offer(bytes) {
            state.withLock { $0.cursor = next }
        }
    }

    private func sendRest() async {
        while let (bytes, next) = unsent() {
            // A client that has left is sent nothing more; the turn is kept all the same.
            guard (try? await exchange.send(bytes)) != nil else { return }
            state.withLock { $0.cursor = next }
        }
        exchange.finish()
    }

    /// What the log has for the client, as one framed write. A client so slow that the log has moved on is cut, and reads
    /// the turn as messages.
    private func unsent() -> (ByteBuffer, next: Int)? {
        let cursor = state.withLock { $0.cursor }
        switch feeds.read(scope.session, from: cursor) {
        case .lost:
            exchange.abort()
            return nil
        case .events(let events):
            guard let last = events.last else { return nil }
            var buffer = ByteBufferAllocator().buffer(
                capacity: events.reduce(16) { $0 + $1.bytes.readableBytes })
            buffer.writeFramed(exchange.streamFraming) { buffer in
                for event in events {
                    var bytes = event.bytes
                    buffer.writeBuffer(&bytes)
                }
            }
            return (buffer, last.index + 1)
        }
    }
}

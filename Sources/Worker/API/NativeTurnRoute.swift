/// `POST /v1/sessions/{id}/turns`: a turn that runs on without its client, which may come back to it here or at another worker.
import Agent
import Memory
import NIOCore
import NIOHTTP1
import Synchronization

extension PublicAPI {
    func nativeTurn(
        _ request: ServerRequest, _ caller: Credentials.Caller, _ id: String, _ origin: RequestOrigin
    ) async throws {
        let body = Array(request.body.readableBytesView)
        let session = try SessionID(id, param: "session id")
        let native = try NativeTurnRequest.parse(body)
        let scope = try scope(caller, request, user: native.user, session: session)
        var order = try order(native, body)
        order.lastSeen = request.head.headers.first(name: "last-event-id").flatMap { EventID($0) }
        if let turn = order.turnID, join(turn, after: order.lastSeen, scope, request.exchange) { return }
        let writer = NativeTurnWriter(
            answering: .request(request.exchange), session: session, scope: scope, feeds: feeds,
            journal: journal)
        try await place(request, caller, session, turn: order.turnID, origin) { [order] others in
            try await run(order, scope, others, writer)
        }
    }

    func order(_ native: NativeTurnRequest, _ body: [UInt8]) throws(APIError) -> TurnOrder {
        TurnOrder(
            agent: try agent(named: native.agent, param: "agent"), new: native.input,
            overrides: native.overrides, field: "input", turnID: native.turnID, request: body)
    }

    func run(
        _ order: TurnOrder, _ scope: Scope, _ others: [String], _ writer: NativeTurnWriter
    ) async throws {
        let cut = conductor.cut
        try await conductor.conduct(
            order, scope: scope, others: others, clientLeft: { await cut.wait() },
            opened: { await writer.opened($0) }, emit: { await writer.emit($0) })
    }

    /// A turn that goes on here already is followed from its beginning.
    func followRunning(_ turn: TurnID, _ scope: Scope, _ exchange: Exchange) -> Bool {
        feeds.running(scope.session) == turn && join(turn, after: nil, scope, exchange)
    }

    /// Where the turn runs here, or the client has seen a part of it that is here to its end, a client that sends it again follows
    /// it: from where it was, to the turn's end.
    private func join(_ turn: TurnID, after last: EventID?, _ scope: Scope, _ exchange: Exchange) -> Bool {
        guard feeds.canTellEnd(of: turn, scope.session) else { return false }
        let isSeen = last.map { $0.turn == turn && self.feeds.canContinue(after: $0, scope.session) } ?? false
        guard isSeen || feeds.running(scope.session) == turn else { return false }
        let feeds = feeds
        let beginning: SessionFeeds.Beginning =
            if let last, isSeen { .after(last) } else { .wholeTurn(turn) }
        exchange.becomeEventStream(
            .eventStream([(SessionID.header, scope.sessionID), ("X-Turn-Id", turn.value)])
        ) { loop in
            EventStreamHandler(loop: loop, feeds: feeds, scope: scope, from: beginning, endsWith: turn)
        }
        return true
    }
}

/// Writes a turn's events into the session's log at the model's speed, and to its own client at the client's.
final class NativeTurnWriter: Sendable {
    /// To whom the turn is told beside those who follow its session.
    enum Client: Sendable {
        /// Who asked for it, as the answer to that request.
        case request(Exchange)
        /// Who came back to the session's events: the connection becomes such a stream.
        case follower(Exchange)
    }

    private let client: Client
    private let session: SessionID
    private let scope: Scope
    private let feeds: SessionFeeds
    private let journal: TurnJournal
    private let state: Mutex<State>

    private struct State: Sendable {
        var encoder: NativeEventEncoder?
        /// The next event of the log that the client has not been sent.
        var cursor = 0
        /// The turn is told from the history: to this client alone.
        var retold: ByteBuffer?
    }

    init(
        answering client: Client, session: SessionID, scope: Scope, feeds: SessionFeeds, journal: TurnJournal
    ) {
        self.client = client
        self.session = session
        self.scope = scope
        self.feeds = feeds
        self.journal = journal
        state = Mutex(State())
    }

    func opened(_ opening: TurnOpening) async {
        let started = state.withLock { state in
            var encoder = NativeEventEncoder(turn: opening.turn, attempt: opening.attempt)
            defer { state.encoder = encoder }
            var events = opening.isRestart ? [encoder.restarted()] : []
            events.append(
                encoder.started(
                    session: session.value, agent: opening.agent, route: opening.route, tier: opening.tier))
            if opening.known != nil { state.retold = ByteBuffer(joining: events) }
            return events
        }
        if case .request(let exchange) = client {
            exchange.openStream(
                .eventStream(opening.fields(session: session)), heartbeat: ChatStreamEncoder.heartbeat)
        }
        guard opening.known == nil else { return }
        feeds.beginTurn(opening.turn, scope.session)
        let cursor = feeds.nextIndex(scope.session)
        state.withLock { $0.cursor = cursor }
        publish(started, end: nil)
        if case .follower(let exchange) = client { follow(exchange, from: .wholeTurn(opening.turn)) }
        await catchUp()
    }

    /// The turn never waits for its client; at the end, the client is sent the rest at its own speed.
    func emit(_ events: [TurnEvent]) async {
        if case .failed(let failure)? = events.last, failure.code == APIError.workerEnded.code {
            return await cut(events.dropLast())
        }
        let end = TurnEnd(events.last)
        let (encoded, retold) = state.withLock { state -> ([EncodedEvent], ByteBuffer?) in
            let encoded = events.compactMap { state.encoder?.encode($0) }
            guard state.retold != nil else { return (encoded, nil) }
            var more = ByteBuffer(joining: encoded)
            state.retold?.writeBuffer(&more)
            return ([], state.retold)
        }
        if let retold {
            if end != nil { await tell(retold) }
            return
        }
        publish(encoded, end: end)
        if end != nil { await sendRest() } else { await catchUp() }
    }

    private func publish(_ events: [EncodedEvent], end: TurnEnd?) {
        guard !events.isEmpty else { return }
        feeds.publish(scope.session, events, logged: true, end: end)
        journal.add(events, of: scope, isLast: end != nil)
    }

    private func follow(_ exchange: Exchange, from beginning: SessionFeeds.Beginning) {
        let (feeds, scope) = (feeds, scope)
        exchange.becomeEventStream(.eventStream([])) { loop in
            EventStreamHandler(loop: loop, feeds: feeds, scope: scope, from: beginning)
        }
    }

    /// A turn out of the history, whole.
    private func tell(_ events: ByteBuffer) async {
        switch client {
        case .follower(let exchange): follow(exchange, from: .missed(events))
        case .request(let exchange):
            // A client that has left is sent nothing more.
            guard (try? await exchange.send(framed(events, exchange))) != nil else { return }
            exchange.finish()
        }
    }

    /// The worker's time is over. The turn stays as it is for whoever goes on with it, its client is told to come back.
    private func cut(_ events: some Collection<TurnEvent>) async {
        let encoded = state.withLock { state in events.compactMap { state.encoder?.encode($0) } }
        publish(encoded, end: nil)
        if !journal.isShared {
            let last = state.withLock { state in state.encoder?.failed(.workerEnded) }
            publish(last.map { [$0] } ?? [], end: .failed)
            return await sendRest()
        }
        guard case .request(let exchange) = client else { return }
        await catchUp()
        // A client that has left is told nothing.
        _ = try? await exchange.send(framed(NativeEventEncoder.cut(.workerEnded), exchange))
        exchange.finish()
    }

    private func catchUp() async {
        guard case .request(let exchange) = client else { return }
        while let (bytes, next) = unsent(exchange), await exchange.offer(bytes) {
            state.withLock { $0.cursor = next }
        }
    }

    private func sendRest() async {
        guard case .request(let exchange) = client else { return }
        while let (bytes, next) = unsent(exchange) {
            // A client that has left is sent nothing more; the turn is kept all the same.
            guard (try? await exchange.send(bytes)) != nil else { return }
            state.withLock { $0.cursor = next }
        }
        exchange.finish()
    }

    /// What the log has for the client, as one framed write. A client so slow that the log has moved on is cut, and reads
    /// the turn as messages.
    private func unsent(_ exchange: Exchange) -> (ByteBuffer, next: Int)? {
        let cursor = state.withLock { $0.cursor }
        switch feeds.read(scope.session, from: cursor) {
        case .lost:
            exchange.abort()
            return nil
        case .events(let events):
            guard let last = events.last else { return nil }
            let bytes = ByteBuffer(joining: events.map { EncodedEvent(id: $0.id, bytes: $0.bytes) })
            return (framed(bytes, exchange), last.index + 1)
        }
    }

    private func framed(_ events: ByteBuffer, _ exchange: Exchange) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: events.readableBytes + 16)
        buffer.writeFramed(exchange.streamFraming) { buffer in
            var events = events
            buffer.writeBuffer(&events)
        }
        return buffer
    }
}

extension ByteBuffer {
    init(joining events: [EncodedEvent]) {
        self = ByteBufferAllocator().buffer(capacity: events.reduce(0) { $0 + $1.bytes.readableBytes })
        for event in events {
            var bytes = event.bytes
            writeBuffer(&bytes)
        }
    }
}

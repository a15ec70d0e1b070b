/// Decides the course of one exchange: request handed over, head awaited, body streaming, ended. A value without
/// locks; `HeadWaiter` and `Reader` are whatever waits for the head and for the body.
struct ExchangeState<HeadWaiter, Reader> {
    private enum Phase {
        /// Can become `awaitingHead`, or `ended` when it is cancelled first.
        case created
        /// Can become `streaming` or `ended`.
        case awaitingHead(HeadWaiter)
        /// The head was handed over. Can become `ended`.
        case streaming
        /// The connection is free again, or about to be.
        case ended(TransportError?)
    }

    enum BeginAction {
        case submit
        case fail(HeadWaiter, TransportError)
    }

    enum HeadAction {
        case deliver(HeadWaiter)
        case none
    }

    enum EndAction {
        case failHead(HeadWaiter, TransportError)
        case wakeReader(BodyBuffer<Reader>.WakeAction)
        case none
    }

    private var phase = Phase.created
    var body: BodyBuffer<Reader>

    init(body: BodyBuffer<Reader>) {
        self.body = body
    }

    var isEnded: Bool {
        if case .ended = phase { true } else { false }
    }

    mutating func begin(_ waiter: HeadWaiter) -> BeginAction {
        switch phase {
        case .created:
            phase = .awaitingHead(waiter)
            return .submit
        case .ended(let error):
            return .fail(waiter, error ?? TransportError(.cancelled, "the request was cancelled"))
        case .awaitingHead, .streaming:
            preconditionFailure("an exchange begins once")
        }
    }

    /// Begins without anybody who waits for the head or reads the body.
    mutating func beginUnheard() {
        guard case .created = phase else { preconditionFailure("an exchange begins once") }
        phase = .streaming
        _ = body.abandon(TransportError(.cancelled, "nobody reads the response"))
    }

    mutating func headArrived() -> HeadAction {
        guard case .awaitingHead(let waiter) = phase else { return .none }
        phase = .streaming
        return .deliver(waiter)
    }

    /// The exchange is over on the connection's side: whole without an error, broken off with one.
    mutating func end(_ error: TransportError?) -> EndAction {
        switch phase {
        case .awaitingHead(let waiter):
            let failure = error ?? TransportError(.malformedResponse, "the response has no head")
            phase = .ended(failure)
            return .failHead(waiter, failure)
        case .streaming:
            phase = .ended(error)
            if let error { return .wakeReader(body.fail(error)) }
            return .wakeReader(body.finish())
        case .created:
            phase = .ended(error)
            return .none
        case .ended:
            return .none
        }
    }

    /// The caller gave up. Returns nil when the exchange had ended already, so that nobody has to be told.
    mutating func abandon(_ error: TransportError) -> EndAction? {
        switch phase {
        case .ended:
            return nil
        case .created:
            phase = .ended(error)
            return EndAction.none
        case .awaitingHead(let waiter):
            phase = .ended(error)
            return .failHead(waiter, error)
        case .streaming:
            phase = .ended(error)
            return .wakeReader(body.abandon(error))
        }
    }
}

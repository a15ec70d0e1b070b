/// Decides what a connection does next: collect a request, refuse it, hand it out, wait, or close. A value without I/O or clock.

/// Limits that a client meets before any of its request is looked at.
public struct ConnectionLimits: Sendable, Equatable {
    /// Bytes of request line and header fields together.
    public var maxHeadBytes = 16 * 1024
    public var maxBodyBytes = 1024 * 1024
    /// From the first byte of a head to its last.
    public var headTimeout: Duration = .seconds(10)
    /// From the head to the body's last byte.
    public var bodyTimeout: Duration = .seconds(30)
    /// A kept-alive connection without a request.
    public var idleTimeout: Duration = .seconds(75)
    /// A reader that takes none of what waits for it.
    public var stallTimeout: Duration = .seconds(30)
    /// How long a refused sender is listened to, so that it can read the refusal before the connection goes.
    public var lingerTimeout: Duration = .seconds(2)
    /// A stream that says nothing for so long gets a comment: proxies cut silent ones.
    public var heartbeat: Duration = .seconds(15)

    public init() {}
}

struct ConnectionState {
    /// Why a request is refused before it is whole.
    enum Refusal: Equatable {
        case headTooLarge, bodyTooLarge, headTooSlow, bodyTooSlow, malformed
    }

    private enum Phase: Equatable {
        /// Between requests. -> head, body, busy, closed
        case idle(since: ContinuousClock.Instant)
        /// Some bytes of a head are here. -> body, busy, lingering
        case head(since: ContinuousClock.Instant)
        /// The head is whole, the body is not. -> busy, lingering
        case body(since: ContinuousClock.Instant, bytes: Int)
        /// A request is being answered; the next one waits in the socket. -> idle, lingering, closed
        case busy(keepAlive: Bool)
        /// Answered for the last time; what still comes is dropped. -> closed
        case lingering(since: ContinuousClock.Instant)
        case closed
    }

    private let limits: ConnectionLimits
    private var phase: Phase
    private var keepAlive = true

    init(limits: ConnectionLimits, now: ContinuousClock.Instant) {
        self.limits = limits
        self.phase = .idle(since: now)
    }

    /// Reading stops while a request is answered: pipelined requests wait in the kernel, bounded by its buffer.
    var wantsBytes: Bool {
        if case .busy = phase { return false }
        return true
    }

    enum HeadAction: Equatable {
        case collectBody(sendContinue: Bool)
        case refuse(Refusal)
        case drop
    }

    mutating func headArrived(
        headBytes: Int, contentLength: Int?, expectsContinue: Bool, keepAlive: Bool,
        now: ContinuousClock.Instant
    ) -> HeadAction {
        switch phase {
        case .idle, .head:
            guard headBytes <= limits.maxHeadBytes else { return refuse(.headTooLarge, now) }
            guard contentLength ?? 0 <= limits.maxBodyBytes else { return refuse(.bodyTooLarge, now) }
            self.keepAlive = keepAlive
            phase = .body(since: now, bytes: 0)
            return .collectBody(sendContinue: expectsContinue)
        case .body, .busy, .lingering, .closed:
            return .drop
        }
    }

    enum BodyAction: Equatable {
        case keep
        case refuse(Refusal)
        case drop
    }

    mutating func bodyArrived(bytes more: Int, now: ContinuousClock.Instant) -> BodyAction {
        guard case .body(let since, let bytes) = phase else { return .drop }
        guard bytes + more <= limits.maxBodyBytes else {
            _ = refuse(.bodyTooLarge, now)
            return .refuse(.bodyTooLarge)
        }
        phase = .body(since: since, bytes: bytes + more)
        return .keep
    }

    /// True where a whole request is to be handed out.
    mutating func endArrived() -> Bool {
        guard case .body = phase else { return false }
        phase = .busy(keepAlive: keepAlive)
        return true
    }

    /// A read brought bytes but no whole head: the sender's time for the head starts.
    mutating func readCompleted(now: ContinuousClock.Instant) {
        if case .idle = phase { phase = .head(since: now) }
    }

    mutating func malformed(now: ContinuousClock.Instant) -> HeadAction {
        switch phase {
        case .idle, .head, .body: return refuse(.malformed, now)
        case .busy:
            // Garbage behind a good request: that one is still answered, then nothing more can be read.
            phase = .busy(keepAlive: false)
            return .drop
        case .lingering, .closed: return .drop
        }
    }

    enum AfterResponse: Equatable {
        case readNext
        case close
        /// Close our half and listen on, so that the refusal is not lost in a reset.
        case linger
    }

    /// The response's last byte has been written.
    mutating func responseEnded(close: Bool, now: ContinuousClock.Instant) -> AfterResponse {
        switch phase {
        case .busy(let keepAlive) where keepAlive && !close:
            phase = .idle(since: now)
            return .readNext
        case .lingering:
            return .linger
        default:
            phase = .closed
            return .close
        }
    }

    enum TickAction: Equatable {
        case nothing
        case close
        case refuse(Refusal)
    }

    mutating func tick(now: ContinuousClock.Instant) -> TickAction {
        switch phase {
        case .idle(let since) where since.duration(to: now) >= limits.idleTimeout:
            phase = .closed
            return .close
        case .head(let since) where since.duration(to: now) >= limits.headTimeout:
            _ = refuse(.headTooSlow, now)
            return .refuse(.headTooSlow)
        case .body(let since, _) where since.duration(to: now) >= limits.bodyTimeout:
            _ = refuse(.bodyTooSlow, now)
            return .refuse(.bodyTooSlow)
        case .lingering(let since) where since.duration(to: now) >= limits.lingerTimeout:
            phase = .closed
            return .close
        default:
            return .nothing
        }
    }

    /// True while no request is in hand: such a connection may be closed at any time.
    var isIdle: Bool {
        if case .idle = phase { return true }
        return false
    }

    private mutating func refuse(_ reason: Refusal, _ now: ContinuousClock.Instant) -> HeadAction {
        phase = .lingering(since: now)
        return .refuse(reason)
    }
}

/// Owns one connection to one server: the shell around `ConnectionMachine`, which it drives on one event loop.
import Logging
import NIOCore
import Synchronization

final class Link: Sendable {
    typealias Machine = ConnectionMachine<Recipient>
    typealias Entry = Machine.Entry

    /// What the links of a client share.
    struct Settings: Sendable {
        var configuration: RedisConfiguration
        var contexts: TLSContexts?
        var logger: Logger
        /// Called with each attempt to connect again.
        var onReconnect: @Sendable () -> Void

        var backOff: BackOff {
            BackOff(first: configuration.reconnectDelay, limit: configuration.maxReconnectDelay)
        }
    }

    private struct State {
        var machine: Machine
        var channel: (any Channel)?
        /// Events of an earlier attempt to connect mean nothing.
        var attempt = 0
        var isAuthenticating = false
        /// When the timer that is set will fire.
        var timer = NIODeadline.distantFuture
    }

    let address: RedisAddress
    private let loop: any EventLoop
    private let settings: Settings
    private let state: Mutex<State>

    init(_ address: RedisAddress, loop: any EventLoop, settings: Settings) {
        self.address = address
        self.loop = loop
        self.settings = settings
        let configuration = settings.configuration
        let limits = Machine.Limits(
            commands: configuration.maxInFlightPerConnection,
            bytes: configuration.maxInFlightBytesPerConnection,
            overdue: TimeAmount(configuration.overdueLimit))
        state = Mutex(State(machine: Machine(limits: limits)))
    }

    var isReady: Bool { state.withLock { $0.machine.isReady } }
    var inFlight: Int { state.withLock { $0.machine.commands } }

    /// Takes entries to be written; what arrives before the event loop gets to it leaves in one write.
    ///
    /// - Returns: why they were not taken; nil: each recipient will hear.
    func submit(_ entries: [Entry]) -> LinkFault? {
        let (action, timer) = state.withLock { state in
            let action = state.machine.submit(entries)
            return (action, Self.setTimer(&state))
        }
        if let timer { loop.scheduleTask(deadline: timer) { self.expire() } }
        switch action {
        case .connect: loop.execute { self.connect() }
        case .flush: loop.execute { self.flush() }
        case .keep: break
        case .refuse(let fault): return fault
        }
        return nil
    }

    /// Connects before anybody asks.
    func start() {
        if state.withLock({ $0.machine.start() }) { loop.execute { self.connect() } }
    }

    /// Takes nothing more; ends with the last answer.
    func retire() {
        end(LinkFault(.unavailable), isGraceful: true)
    }

    /// Ends now; returns when the channel is closed.
    func close() async {
        let channel = state.withLock { $0.channel }
        end(LinkFault(.closed), isGraceful: false)
        do { try await channel?.closeFuture.get() } catch {
            // A channel that closed with an error is closed.
        }
    }

    private func end(_ fault: LinkFault, isGraceful: Bool) {
        let (loss, channel) = state.withLock { state in
            let (loss, closesNow) = state.machine.close(fault, isGraceful: isGraceful)
            return (loss, closesNow ? state.channel : nil)
        }
        channel?.close(promise: nil)
        tell(loss, fault)
    }

    private func tell(_ loss: Machine.Loss, _ fault: LinkFault) {
        for recipient in loss.lost { recipient.fail(fault, mayHaveRun: true) }
        let refusal = fault.kind == .connectionLost ? LinkFault(.unavailable) : fault
        for recipient in loss.refused { recipient.fail(refusal, mayHaveRun: false) }
    }

    // MARK: On the event loop

    private func flush() {
        let (buffers, channel) = state.withLock { state in
            let buffers = state.machine.flush { entry in
                entry.slots.reduce(true) { wanted, slot in slot.recipient.claim() && wanted }
            }
            return (buffers, state.channel)
        }
        guard let channel, !buffers.isEmpty else { return }
        for buffer in WriteCoalescing.merge(buffers) { channel.write(buffer, promise: nil) }
        channel.flush()
    }

    private func connect() {
        let attempt = state.withLock { state in
            state.attempt += 1
            return state.attempt
        }
        if attempt > 1 { settings.onReconnect() }
        let timeout = TimeAmount(settings.configuration.connectTimeout)
        let deadline = loop.scheduleTask(in: timeout) { self.giveUp(attempt) }
        settings.connect(to: address, on: loop) {
            LinkHandler(self, attempt: attempt, reader: $0, deadline: deadline)
        }
        .whenFailure { error in
            deadline.cancel()
            self.ended(attempt, LinkHandler.fault(error, default: .unavailable))
        }
    }

    private func giveUp(_ attempt: Int) {
        let (isLate, channel) = state.withLock { state in
            (attempt == state.attempt && !state.machine.isReady, state.channel)
        }
        guard isLate else { return }
        // Without a channel the name is still being looked up; whatever that brings is closed when it opens.
        ended(attempt, LinkFault(.unavailable))
        channel?.close(promise: nil)
    }

    /// The channel is open: introduces the client.
    func opened(_ attempt: Int, _ channel: any Channel) {
        let greeting = settings.greeting()
        let action: Machine.ConnectedAction = state.withLock { state in
            guard attempt == state.attempt, let greeting else { return .close }
            state.channel = channel
            state.isAuthenticating = greeting.authenticates
            return state.machine.connected(
                steps: greeting.authenticates ? Machine.greetingSteps : 1, now: .now())
        }
        switch action {
        case .greet:
            if let greeting { channel.writeAndFlush(greeting.bytes, promise: nil) }
        case .ready: flush()
        case .close: channel.close(promise: nil)
        }
    }

    /// - Returns: why the channel is to be closed; nil: it is not.
    func received(_ attempt: Int, _ values: [RedisValue]) -> LinkFault? {
        let now = NIODeadline.now()
        var answers: [(Recipient, RedisValue)] = []
        answers.reserveCapacity(values.count)
        var isReady = false
        var end: LinkFault?
        state.withLock { state in
            guard attempt == state.attempt else { return }
            for value in values {
                switch state.machine.received(value, isAuthentication: state.isAuthenticating, now: now) {
                case .nothing: break
                case .ready: isReady = true
                case .deliver(let recipient): answers.append((recipient, value))
                case .deliverAndClose(let recipient):
                    answers.append((recipient, value))
                    end = LinkFault(.unavailable)
                case .fail(let fault): end = fault
                }
                if end != nil { break }
            }
        }
        for (recipient, value) in answers { recipient.deliver(value) }
        if isReady {
            settings.logger.debug("Redis connection is ready", metadata: metadata)
            flush()
        }
        return end
    }

    /// The channel has closed, or never opened.
    func ended(_ attempt: Int, _ fault: LinkFault) {
        let loss: Machine.Loss? = state.withLock { state in
            guard attempt == state.attempt else { return nil }
            state.attempt += 1
            state.channel = nil
            return state.machine.disconnected(fault, now: .now())
        }
        guard let loss else { return }
        tell(loss, fault)
        guard let failures = loss.reconnectAfter else { return }
        if failures == 0 {
            connect()
        } else {
            if failures == 1 {
                settings.logger.notice(
                    "no Redis connection; trying again until there is one",
                    metadata: metadata.merging(["fault": "\(fault.kind)"]) { $1 })
            }
            var generator = SystemRandomNumberGenerator()
            let delay = settings.backOff.delay(after: failures, using: &generator)
            loop.scheduleTask(in: TimeAmount(delay)) { self.start() }
        }
    }

    private func expire() {
        let now = NIODeadline.now()
        let (expiry, timer, channel, attempt) = state.withLock { state in
            if state.timer <= now { state.timer = .distantFuture }
            let expiry = state.machine.expire(now: now)
            return (expiry, Self.setTimer(&state), state.channel, state.attempt)
        }
        if let timer { loop.scheduleTask(deadline: timer) { self.expire() } }
        for recipient in expiry.unsent { recipient.expire(mayHaveRun: false) }
        for recipient in expiry.inFlight { recipient.expire(mayHaveRun: true) }
        if expiry.isOverdue {
            settings.logger.warning("Redis answers no more; closing the connection", metadata: metadata)
            ended(attempt, LinkFault(.connectionLost))
            channel?.close(promise: nil)
        }
    }

    /// - Returns: when a timer has to be set.
    private static func setTimer(_ state: inout State) -> NIODeadline? {
        guard state.machine.earliest < state.timer else { return nil }
        state.timer = state.machine.earliest
        return state.timer
    }

    private var metadata: Logger.Metadata { ["node": "\(address)"] }
}

/// Decides what one connection does: connect, introduce itself, send, match answers with questions, end, come back.
///
/// No I/O and no clock of its own. RESP2 answers in order, so questions wait in a queue and the first answer is the first
/// question's, also where nobody wants it any more. `Recipient` is whoever an answer is for.
import NIOCore

struct ConnectionMachine<Recipient: Sendable>: Sendable {
    struct Limits {
        /// Commands that are waiting or unanswered, and their bytes.
        var commands: Int
        var bytes: Int
        /// How long after its deadline the oldest question may be unanswered.
        var overdue: TimeAmount
    }

    /// One question that gets one answer.
    struct Slot: Sendable {
        var recipient: Recipient
        var deadline: NIODeadline
        fileprivate var isTold = false

        init(_ recipient: Recipient, deadline: NIODeadline) {
            self.recipient = recipient
            self.deadline = deadline
        }
    }

    /// Questions that are written together or not at all.
    struct Entry: Sendable {
        var bytes: ByteBuffer
        var slots: [Slot]
    }

    private enum State {
        case idle
        case connecting
        case greeting(steps: Int)
        /// `answered`: since it became ready.
        case ready(since: NIODeadline, answered: Bool)
        /// Waits before the next attempt.
        case resting
        /// Takes nothing new and ends with its last answer.
        case closing
        case closed
    }

    private var state = State.idle
    /// Attempts that failed in a row, and why the last one did. While there is one, callers are refused rather than kept.
    private var failures = 0
    private var fault: LinkFault?
    private var unsent: [Entry] = []
    private var inFlight = CircularBuffer<(slot: Slot, bytes: Int)>()
    private(set) var commands = 0
    private(set) var bytes = 0
    private var isFlushing = false
    /// No slot's deadline is earlier.
    private(set) var earliest = NIODeadline.distantFuture
    private let limits: Limits

    init(limits: Limits) {
        self.limits = limits
    }

    var isReady: Bool {
        if case .ready = state { return true }
        return false
    }

    // MARK: Questions

    enum SubmitAction: Equatable {
        case connect
        /// Waits for the connection, or for a flush that is under way.
        case keep
        case flush
        case refuse(LinkFault)
    }

    mutating func submit(_ entries: [Entry]) -> SubmitAction {
        var action = SubmitAction.keep
        switch state {
        case .idle: action = .connect
        case .connecting, .greeting, .resting:
            if let fault { return .refuse(fault) }
        case .ready:
            if !isFlushing { action = .flush }
        case .closing, .closed:
            return .refuse(fault ?? LinkFault(.unavailable))
        }
        let count = entries.reduce(0) { $0 + $1.slots.count }
        let size = entries.reduce(0) { $0 + $1.bytes.readableBytes }
        guard commands + count <= limits.commands, bytes + size <= limits.bytes else {
            return .refuse(LinkFault(.overloaded))
        }
        if action == .connect { state = .connecting }
        if action == .flush { isFlushing = true }
        commands += count
        bytes += size
        for entry in entries {
            for slot in entry.slots { earliest = min(earliest, slot.deadline) }
        }
        unsent.append(contentsOf: entries)
        return action
    }

    /// What is to be written now, in order; from here on it may have run.
    ///
    /// - Parameter isWanted: false where the entry's callers have gone; it is dropped.
    mutating func flush(where isWanted: (Entry) -> Bool) -> [ByteBuffer] {
        isFlushing = false
        guard case .ready = state else { return [] }
        var buffers: [ByteBuffer] = []
        buffers.reserveCapacity(unsent.count)
        for entry in unsent {
            if isWanted(entry) {
                // The bytes are counted on the entry's last answer.
                for (index, slot) in entry.slots.enumerated() {
                    let isLast = index == entry.slots.count - 1
                    inFlight.append((slot, isLast ? entry.bytes.readableBytes : 0))
                }
                buffers.append(entry.bytes)
            } else {
                commands -= entry.slots.count
                bytes -= entry.bytes.readableBytes
            }
        }
        unsent.removeAll(keepingCapacity: true)
        return buffers
    }

    // MARK: Life

    /// - Returns: whether to connect.
    mutating func start() -> Bool {
        switch state {
        case .idle, .resting:
            state = .connecting
            return true
        case .connecting, .greeting, .ready, .closing, .closed: return false
        }
    }

    enum ConnectedAction: Equatable {
        case greet
        case ready
        case close
    }

    /// - Parameter steps: answers that the greeting will get; the first is that of AUTH.
    mutating func connected(steps: Int, now: NIODeadline) -> ConnectedAction {
        guard case .connecting = state else { return .close }
        guard steps > 0 else {
            state = .ready(since: now, answered: false)
            fault = nil
            return .ready
        }
        state = .greeting(steps: steps)
        return .greet
    }

    enum ReceiveAction {
        case nothing
        case ready
        case deliver(Recipient)
        /// The last answer of a connection that takes no more questions.
        case deliverAndClose(Recipient)
        case fail(LinkFault)
    }

    /// - Parameter isAuthentication: whether the greeting began with AUTH, whose refusal ends the attempt.
    mutating func received(
        _ value: RedisValue, isAuthentication: Bool, now: NIODeadline
    ) -> ReceiveAction {
        switch state {
        case .greeting(let steps):
            if isAuthentication, steps == Self.greetingSteps, let code = value.errorCode {
                return .fail(LinkFault(.authentication, code: code))
            }
            // A server that wants a password and got none says so to whatever comes first.
            if value.errorCode == "NOAUTH" { return .fail(LinkFault(.authentication, code: "NOAUTH")) }
            guard steps == 1 else {
                state = .greeting(steps: steps - 1)
                return .nothing
            }
            state = .ready(since: now, answered: false)
            fault = nil
            return .ready
        case .ready(let since, let answered):
            guard let recipient = answerFirst() else { return .fail(LinkFault(.malformedReply)) }
            if !answered {
                state = .ready(since: since, answered: true)
                failures = 0
            }
            return .deliver(recipient)
        case .closing:
            guard let recipient = answerFirst() else { return .fail(LinkFault(.malformedReply)) }
            return inFlight.isEmpty ? .deliverAndClose(recipient) : .deliver(recipient)
        case .idle, .connecting, .resting, .closed:
            return .nothing
        }
    }

    /// AUTH and CLIENT SETNAME.
    static var greetingSteps: Int { 2 }

    private mutating func answerFirst() -> Recipient? {
        guard let first = inFlight.popFirst() else { return nil }
        commands -= 1
        bytes -= first.bytes
        return first.slot.recipient
    }

    struct Loss {
        /// Written, and unanswered for good.
        var lost: [Recipient] = []
        /// Never written.
        var refused: [Recipient] = []
        /// Attempts that failed in a row, for the back-off; nil: it is over.
        var reconnectAfter: Int?
    }

    /// The connection, or the attempt to make one, has ended.
    mutating func disconnected(_ fault: LinkFault, now: NIODeadline) -> Loss {
        var loss = Loss(lost: takeInFlight())
        switch state {
        case .ready(let since, let answered):
            // One that served, or that idled for long, is simply made again, and callers may wait for it.
            if answered || now - since > .seconds(1) {
                failures = 0
                state = .connecting
                loss.reconnectAfter = 0
                return loss
            }
            fail(fault, &loss)
        case .connecting, .greeting:
            fail(fault, &loss)
        case .closing:
            state = .closed
            loss.refused = takeUnsent()
        case .idle, .resting, .closed: break
        }
        return loss
    }

    private mutating func fail(_ fault: LinkFault, _ loss: inout Loss) {
        failures += 1
        // To callers who sent nothing yet it is all one whether the attempt was refused or broke off.
        self.fault = fault.kind == .connectionLost ? LinkFault(.unavailable) : fault
        state = .resting
        loss.refused = takeUnsent()
        loss.reconnectAfter = failures
    }

    /// Ends at once, or with the last answer where `isGraceful`.
    ///
    /// - Returns: who gets no answer, and whether the channel is to be closed now.
    mutating func close(_ fault: LinkFault, isGraceful: Bool) -> (loss: Loss, closesNow: Bool) {
        if case .closed = state { return (Loss(), false) }
        self.fault = fault
        var loss = Loss(refused: takeUnsent())
        if isGraceful, !inFlight.isEmpty {
            state = .closing
            return (loss, false)
        }
        loss.lost = takeInFlight()
        state = .closed
        return (loss, true)
    }

    // MARK: Time

    struct Expiry {
        /// Never written.
        var unsent: [Recipient] = []
        /// Written; a late answer is dropped in its turn.
        var inFlight: [Recipient] = []
        /// The oldest question is unanswered for so long that nothing more will come.
        var isOverdue = false
    }

    /// Call it at `earliest`, which then moves on.
    mutating func expire(now: NIODeadline) -> Expiry {
        var expiry = Expiry()
        var next = NIODeadline.distantFuture
        for index in unsent.indices {
            for position in unsent[index].slots.indices {
                Self.pass(&unsent[index].slots[position], now: now, told: &expiry.unsent, next: &next)
            }
        }
        for index in inFlight.indices {
            Self.pass(&inFlight[index].slot, now: now, told: &expiry.inFlight, next: &next)
        }
        if let first = inFlight.first, first.slot.deadline <= now {
            let limit = first.slot.deadline + limits.overdue
            expiry.isOverdue = limit <= now
            next = min(next, max(limit, now + .milliseconds(1)))
        }
        earliest = next
        return expiry
    }

    private static func pass(
        _ slot: inout Slot, now: NIODeadline, told: inout [Recipient], next: inout NIODeadline
    ) {
        if slot.deadline > now {
            next = min(next, slot.deadline)
        } else if !slot.isTold {
            slot.isTold = true
            told.append(slot.recipient)
        }
    }

    private mutating func takeInFlight() -> [Recipient] {
        let taken = inFlight.map(\.slot.recipient)
        commands -= inFlight.count
        bytes -= inFlight.reduce(0) { $0 + $1.bytes }
        inFlight.removeAll(keepingCapacity: false)
        return taken
    }

    private mutating func takeUnsent() -> [Recipient] {
        let taken = unsent.flatMap { $0.slots.map(\.recipient) }
        commands -= taken.count
        bytes -= unsent.reduce(0) { $0 + $1.bytes.readableBytes }
        unsent = []
        return taken
    }
}

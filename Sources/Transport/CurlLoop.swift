// Drives a client's transfers on one thread: sockets by epoll, deadlines, commands from a mailbox.

import CCurl
import Glibc

/// Owns every libcurl handle of a client. Made, used and destroyed on one thread.
final class CurlLoop {
    let configuration: HTTPClient.Configuration
    /// The monotonic clock at the last wake-up, in nanoseconds.
    private(set) var now: Int64 = 0

    private let mailbox: Mailbox
    private let statistics: ClientStatistics
    private var poller: Poller
    private var pacing = FlowPacing()
    private var transfers: [ObjectIdentifier: Transfer] = [:]
    /// Those for whose readers something arrived.
    private var dirty: [Transfer] = []
    /// One for each HTTP/2 origin, and one, without a name, for all of HTTP/1.1.
    private var multis: [String?: CurlMulti] = [:]
    private var socketOwners: [Int32: CurlMulti] = [:]
    /// Not after the earliest deadline of any transfer; may be before it.
    private var nextSweep = Int64.max
    private var isStopping = false

    /// HTTP/2 origins whose idle connections are kept.
    private static let keptOrigins = 64

    /// Nil where the system has no descriptor left.
    init?(mailbox: Mailbox, configuration: HTTPClient.Configuration, statistics: ClientStatistics) {
        guard let poller = Poller(wakeDescriptor: mailbox.wakeDescriptor) else { return nil }
        self.mailbox = mailbox
        self.configuration = configuration
        self.statistics = statistics
        self.poller = poller
    }

    /// Returns when the mailbox said stop; every transfer has ended then.
    func run() {
        var events = [epoll_event](repeating: epoll_event(), count: 256)
        while !isStopping {
            now = Self.monotonicNow()
            let count = poller.wait(into: &events, milliseconds: waitingTime())
            now = Self.monotonicNow()
            if nextSweep <= now { endWhatIsOver() }
            var isFlowReady = false
            for event in events[..<count] {
                if event.data.fd == mailbox.wakeDescriptor {
                    for command in mailbox.take() { perform(command) }
                } else if event.data.fd == poller.flow {
                    isFlowReady = true
                } else {
                    drive(event)
                }
            }
            wakeReaders()
            if isFlowReady || pacing.due ?? .max <= now { lookAtFlow(with: &events) }
            for multi in multis.values where multi.due <= now {
                multi.timeIsUp()
                settle(multi)
            }
            if nextSweep <= now { sweep() }
            wakeReaders()
        }
        for transfer in transfers.values {
            breakOff(transfer, .shutdown(transfer.exchange.target))
        }
        for multi in multis.values { multi.retire() }
        multis = [:]
    }

    private func drive(_ event: epoll_event) {
        guard let multi = socketOwners[event.data.fd] else { return }
        multi.socketIsReady(event.data.fd, event.events)
        settle(multi)
    }

    private func lookAtFlow(with events: inout [epoll_event]) {
        let count = poller.lookAtFlow(into: &events)
        for event in events[..<count] { drive(event) }
        wakeReaders()
        pacing.looked(finding: count, isMore: count == events.count, at: now)
        poller.watchFlow(pacing.due == nil)
    }

    // MARK: What libcurl's callbacks ask for

    /// Something arrived for this transfer: its reader is told when all that arrived together was taken.
    func markDirty(_ transfer: Transfer) {
        guard !transfer.isDirty else { return }
        transfer.isDirty = true
        dirty.append(transfer)
    }

    /// The transfer pauses because its reader hasn't taken what arrived.
    func readerIsBehind(_ transfer: Transfer) {
        transfer.deadlines.pause(sharedConnection: transfer.isMultiplexed, at: now)
        nextSweep = min(nextSweep, transfer.deadlines.earliest)
        if transfer.isMultiplexed { transfer.multi.hold(for: transfer) }
    }

    func watch(_ socket: Int32, for events: UInt32, by multi: CurlMulti) {
        socketOwners[socket] = multi
        poller.watch(socket, for: events)
    }

    /// A body comes in over this socket, and its reader has had the beginning.
    func isFlowing(_ socket: Int32, for events: UInt32) {
        poller.setFlowing(socket, for: events)
    }

    func forget(_ socket: Int32) {
        socketOwners[socket] = nil
        poller.forget(socket)
    }

    // MARK: Commands

    private func perform(_ command: Command) {
        switch command {
        case .start(let exchange, let request, let target): start(exchange, request, target)
        case .release(let exchange):
            if let transfer = transfers[ObjectIdentifier(exchange)] { release(transfer) }
        case .cancel(let exchange):
            if let transfer = transfers[ObjectIdentifier(exchange)] { breakOff(transfer, nil) }
        case .stop: isStopping = true
        }
    }

    private func start(_ exchange: Exchange, _ request: HTTPRequest, _ target: RequestTarget) {
        guard !isStopping else { return exchange.end(.shutdown(exchange.target)) }
        // Cancelled before it got here.
        guard !exchange.isEnded else { return }
        if let total = request.totalTimeout, now >= exchange.begun.addingClamped(total.nanoseconds) {
            return exchange.end(.expired(.total, target: exchange.target))
        }
        guard let multi = multi(for: target, request.version),
            let transfer = Transfer(exchange, request, at: target, in: multi, on: self),
            multi.add(transfer)
        else {
            return exchange.end(TransportError(.overloaded, "no memory for a request to \(exchange.target)"))
        }
        transfers[ObjectIdentifier(exchange)] = transfer
        nextSweep = min(nextSweep, transfer.deadlines.earliest)
    }

    private func multi(for target: RequestTarget, _ version: HTTPVersion) -> CurlMulti? {
        let origin = version == .http2 ? target.origin : nil
        if let multi = multis[origin] { return multi }
        if multis.count > Self.keptOrigins {
            for multi in multis.values where multi.transferCount == 0 { drop(multi) }
        }
        let multi = CurlMulti(
            for: origin, limits: ConnectionLimits(for: target, version, configuration), configuration,
            on: self)
        multis[origin] = multi
        return multi
    }

    private func drop(_ multi: CurlMulti) {
        multi.retire()
        multis[multi.origin] = nil
    }

    private func release(_ transfer: Transfer) {
        transfer.deadlines.resume(at: now)
        nextSweep = min(nextSweep, transfer.deadlines.earliest)
        transfer.multi.release(by: transfer)
        let result = curl_easy_pause(transfer.easy.handle, CURLPAUSE_CONT)
        if result != CURLE_OK { breakOff(transfer, transfer.error(for: result)) }
    }

    // MARK: Ends

    /// Ends a transfer before its response is complete.
    private func breakOff(_ transfer: Transfer, _ error: TransportError?) {
        finish(transfer, error)
        // libcurl 7.88 leaves an HTTP/2 stream's RST_STREAM in a buffer until something else happens on the
        // connection. Nothing will where that was its last stream: then only closing it tells the server.
        let multi = transfer.multi
        if multi.origin != nil, multi.transferCount == 0 { drop(multi) }
    }

    private func finish(_ transfer: Transfer, _ error: TransportError?) {
        transfer.flush()
        transfer.multi.remove(transfer)
        transfers[ObjectIdentifier(transfer.exchange)] = nil
        statistics.sawWaiting(transfer.exchange.peakWaiting)
        transfer.exchange.end(error)
    }

    /// Ends what is done.
    private func settle(_ multi: CurlMulti) {
        while let (transfer, result) = multi.nextDone() {
            if let error = transfer.error(for: result) {
                breakOff(transfer, error)
            } else {
                finish(transfer, nil)
            }
        }
    }

    private func wakeReaders() {
        guard !dirty.isEmpty else { return }
        for transfer in dirty {
            transfer.isDirty = false
            transfer.flush()
        }
        dirty.removeAll(keepingCapacity: true)
    }

    /// Comes before the sockets' turn: where the whole process stood still, the rest of a request whose time is up
    /// may not be sent any more. What else is late may have its answer waiting.
    private func endWhatIsOver() {
        for transfer in transfers.values where transfer.deadlines.expired(at: now) == .total {
            breakOff(transfer, .expired(.total, target: transfer.exchange.target))
        }
    }

    private func sweep() {
        nextSweep = .max
        for transfer in transfers.values {
            if let expired = transfer.deadlines.expired(at: now) {
                breakOff(transfer, .expired(expired, target: transfer.exchange.target))
            } else {
                nextSweep = min(nextSweep, transfer.deadlines.earliest)
            }
        }
    }

    // MARK: Time

    /// Milliseconds until something is due, rounded up so that no wait ends just before it; -1 for no limit.
    private func waitingTime() -> Int32 {
        let due = multis.values.reduce(min(nextSweep, pacing.due ?? .max)) { min($0, $1.due) }
        if due == .max { return -1 }
        let nanoseconds = max(0, due - now)
        return Int32(clamping: (nanoseconds + 999_999) / 1_000_000)
    }

    static func monotonicNow() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

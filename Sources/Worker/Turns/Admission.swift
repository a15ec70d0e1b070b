/// Decides which turns run, which wait their turn in a queue, and which are refused at once: the bound on a pod's work.
import Synchronization

/// The decision alone, as a value.
struct AdmissionState: Sendable {
    let maxRunning: Int
    let maxQueued: Int
    private(set) var running = 0
    private(set) var queue: [Int] = []
    private(set) var isDraining = false
    private var lastTicket = 0

    init(maxRunning: Int, maxQueued: Int) {
        self.maxRunning = maxRunning
        self.maxQueued = maxQueued
    }

    enum Entry: Equatable {
        case run
        case wait(ticket: Int)
        case refuseFull
        case refuseDraining
    }

    mutating func enter() -> Entry {
        if isDraining { return .refuseDraining }
        if running < maxRunning {
            running += 1
            return .run
        }
        guard queue.count < maxQueued else { return .refuseFull }
        lastTicket += 1
        queue.append(lastTicket)
        return .wait(ticket: lastTicket)
    }

    /// A turn has ended. Answers who takes its place.
    mutating func leave() -> Int? {
        guard queue.isEmpty else { return queue.removeFirst() }
        running -= 1
        return nil
    }

    var isDrained: Bool { isDraining && running == 0 }

    /// A waiting client has left. False where its ticket was called already.
    mutating func abandon(ticket: Int) -> Bool {
        guard let index = queue.firstIndex(of: ticket) else { return false }
        queue.remove(at: index)
        return true
    }

    /// Answers the tickets that are refused now.
    mutating func beginDraining() -> [Int] {
        isDraining = true
        defer { queue = [] }
        return queue
    }
}

final class Admission: Sendable {
    private struct Shared: Sendable {
        var state: AdmissionState
        var waiting: [Int: CheckedContinuation<Bool, Never>] = [:]
        var drained: [CheckedContinuation<Void, Never>] = []
        /// Tickets that were called or refused before their continuation was there.
        var early: [Int: Bool] = [:]
        var refused = 0
    }

    private let shared: Mutex<Shared>

    init(maxRunning: Int, maxQueued: Int) {
        shared = Mutex(Shared(state: AdmissionState(maxRunning: maxRunning, maxQueued: maxQueued)))
    }

    struct Counts: Sendable {
        var running: Int
        var queued: Int
        var refused: Int
        var isDraining: Bool
    }

    var counts: Counts {
        shared.withLock {
            Counts(
                running: $0.state.running, queued: $0.state.queue.count, refused: $0.refused,
                isDraining: $0.state.isDraining)
        }
    }

    /// The next turn would have to wait, or be refused.
    var isFull: Bool { shared.withLock { $0.state.running >= $0.state.maxRunning } }

    enum Entry: Sendable {
        case admitted(Slot)
        case queued(ticket: Int)
    }

    /// The caller ends the slot, on every path, or waits with the ticket.
    ///
    /// - Throws: 429 where the queue is full, 503 while draining.
    func enterOrQueue() throws(APIError) -> Entry {
        switch shared.withLock({ $0.state.enter() }) {
        case .run: return .admitted(Slot(self))
        case .wait(let ticket): return .queued(ticket: ticket)
        case .refuseDraining: throw .draining
        case .refuseFull:
            shared.withLock { $0.refused += 1 }
            throw .overloaded("All turns that this worker can run or queue are taken.")
        }
    }

    /// Returns when the ticket is called.
    ///
    /// - Throws: 503 where draining began meanwhile, `ClientLeft` where the task was cancelled.
    func wait(_ ticket: Int) async throws -> Slot {
        let called = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early = shared.withLock { shared -> Bool? in
                    if let called = shared.early.removeValue(forKey: ticket) { return called }
                    shared.waiting[ticket] = continuation
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            answer(ticket, false) { $0.abandon(ticket: ticket) }
        }
        if called { return Slot(self) }
        if Task.isCancelled { throw ClientLeft() }
        throw APIError.draining
    }

    /// Refuses all that waits and all that comes.
    func beginDraining() {
        let (tickets, drained) = shared.withLock { shared in
            let tickets = shared.state.beginDraining()
            guard shared.state.isDrained else { return (tickets, [CheckedContinuation<Void, Never>]()) }
            defer { shared.drained = [] }
            return (tickets, shared.drained)
        }
        for ticket in tickets { answer(ticket, false) { _ in true } }
        for continuation in drained { continuation.resume() }
    }

    /// Returns when draining has begun and the last turn has ended. At most a few callers wait: the drain itself.
    func drained() async {
        await withCheckedContinuation { continuation in
            let isOver = shared.withLock { shared in
                if shared.state.isDrained { return true }
                shared.drained.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    private func leave() {
        let (next, drained) = shared.withLock { shared in
            let next = shared.state.leave()
            guard shared.state.isDrained else { return (next, [CheckedContinuation<Void, Never>]()) }
            defer { shared.drained = [] }
            return (next, shared.drained)
        }
        for continuation in drained { continuation.resume() }
        if let next { answer(next, true) { _ in true } }
    }

    private func answer(_ ticket: Int, _ called: Bool, if holds: (inout AdmissionState) -> Bool) {
        let continuation = shared.withLock { shared -> CheckedContinuation<Bool, Never>? in
            guard holds(&shared.state) else { return nil }
            if let waiting = shared.waiting.removeValue(forKey: ticket) { return waiting }
            shared.early[ticket] = called
            return nil
        }
        continuation?.resume(returning: called)
    }

    /// The right to run one turn.
    final class Slot: Sendable {
        private let admission: Admission
        private let ended = Atomic(false)

        fileprivate init(_ admission: Admission) { self.admission = admission }

        /// Idempotent.
        func end() {
            if !ended.exchange(true, ordering: .relaxed) { admission.leave() }
        }
    }
}

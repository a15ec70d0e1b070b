/// Runs one process's pipes from its start to its end, in a thread that waits for nothing else.

import CProcess
import Glibc
import Logging
import Synchronization
import Transport

/// One process, started once. Safe to use from any task.
final class ProcessSession: Sendable {
    /// The longest line that is kept: as long as the longest list of tools.
    static let maxLineBytes = ToolListing.maxBytes

    /// Tells it from those before and after it.
    let name: String
    let startedAt = ContinuousClock.now
    private let state: Mutex<State>
    private let bell: WakeBell

    struct State: Sendable {
        var traffic = ProcessTraffic()
        /// Something of the protocol came from it.
        var hasAnswered = false
        var isClosing = false
        /// Nothing can be asked any more.
        var isOver = false
        /// Its process is gone.
        var isGone = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// Starts the process.
    ///
    /// - Parameters:
    ///   - hidden: what no log may hold.
    ///   - onChange: called when the server says that its tools are others now.
    init(
        _ command: [String], environment: [String], name: String, server: MCPServerName,
        hiding hidden: HiddenValues, logger: Logger, onChange: @escaping @Sendable () -> Void
    ) throws(TransportError) {
        self.name = name
        state = Mutex(State())
        bell = try WakeBell()
        let child = try ChildProcess(command, environment: environment)
        let log = ProcessLog(server: server, pid: child.pid, hidden: hidden, logger: logger)
        let pump = ProcessPump(child, session: self, bell: bell, log: log, onChange: onChange)
        try pump.start()
    }

    var isUsable: Bool { state.withLock { !$0.isOver && !$0.isClosing } }
    var hasAnswered: Bool { state.withLock(\.hasAnswered) }
    var isGone: Bool { state.withLock(\.isGone) }

    func ask(_ asking: MCPAsking, answer: @escaping ProcessTraffic.Answer) {
        let message = asking.request.body(id: asking.id, era: asking.era)
        change { state in
            guard !state.isOver, !state.isClosing else {
                return answer(.reply(.broken(TransportError(.reset, "its process has ended"))))
            }
            state.traffic.ask(
                asking.id, message, limit: asking.limit, deadline: asking.deadline, permit: asking.permit,
                answer: answer)
        }
    }

    @discardableResult
    func tell(_ message: [UInt8]) -> Bool {
        change { !$0.isOver && !$0.isClosing && $0.traffic.tell(message) }
    }

    func forget(_ id: Int) { change { $0.traffic.forget(id) } }

    /// Ends the process as the protocol has it for its stdio transport: its input ends, and signals follow where that doesn't help.
    /// Doesn't wait.
    func beginClosing() { change { $0.isClosing = true } }

    /// Returns when the process is gone, which is some seconds after it was closed at the latest.
    func ended() async {
        await withCheckedContinuation { waiter in
            let isGone = state.withLock { state in
                if !state.isGone { state.waiters.append(waiter) }
                return state.isGone
            }
            if isGone { waiter.resume() }
        }
    }

    /// For the thread of the pipes, which needs no waking.
    func withState<Value: Sendable>(_ body: (inout State) -> Value) -> Value {
        state.withLock { body(&$0) }
    }

    /// The thread of the pipes has ended, and the process before it.
    func gone() {
        let waiters = state.withLock { state in
            state.isOver = true
            state.isGone = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func change<Value: Sendable>(_ body: (inout State) -> Value) -> Value {
        let value = state.withLock { body(&$0) }
        bell.ring()
        return value
    }
}

/// Wakes a thread that waits for its pipes.
final class WakeBell: Sendable {
    let descriptor: Int32

    init() throws(TransportError) {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard descriptor >= 0 else {
            throw TransportError(.connect, "too many files are open to start its process")
        }
    }

    deinit { close(descriptor) }

    func ring() {
        // It fails only where the bell has rung already.
        _ = eventfd_write(descriptor, 1)
    }

    func silence() {
        var count: eventfd_t = 0
        // It fails only where the bell has not rung.
        _ = eventfd_read(descriptor, &count)
    }
}

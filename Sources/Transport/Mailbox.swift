// Carries commands from any thread to the thread that owns libcurl, and wakes it.

import CCurl
import Glibc

/// What other threads ask of the curl thread.
enum Command: Sendable {
    case start(Exchange, HTTPRequest, RequestTarget)
    /// The reader took what waited: the connection may go on.
    case release(Exchange)
    case cancel(Exchange)
    case stop
}

/// A locked list of commands and an eventfd that becomes readable when the list stops being empty.
///
/// Bounded by the bound on requests: each has at most one command of each kind waiting.
final class Mailbox: Sendable {
    private struct State {
        var commands: [Command] = []
        var isClosed = false
        var closeWaiters: [UnsafeContinuation<Void, Never>] = []
    }

    private let state = Guarded(State())
    /// Readable while commands wait; -1 where the system had no descriptor left.
    let wakeDescriptor: Int32

    init() {
        wakeDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    }

    deinit {
        if wakeDescriptor >= 0 { close(wakeDescriptor) }
    }

    /// - Returns: false when the thread has ended; the command was dropped.
    @discardableResult
    func post(_ command: Command) -> Bool {
        let (isOpen, wakes) = state.withLock { state in
            guard !state.isClosed else { return (false, false) }
            state.commands.append(command)
            return (true, state.commands.count == 1)
        }
        if wakes {
            // Fails only when the counter is at its end, and then the descriptor is readable already.
            _ = eventfd_write(wakeDescriptor, 1)
        }
        return isOpen
    }

    /// Takes what waits. Called by the curl thread after `wakeDescriptor` became readable.
    func take() -> [Command] {
        var counter: eventfd_t = 0
        // Clears the counter before the list is taken, so a command posted in between wakes the thread again.
        _ = eventfd_read(wakeDescriptor, &counter)
        return state.withLock { state in
            var commands: [Command] = []
            swap(&commands, &state.commands)
            return commands
        }
    }

    /// No command is taken from here on. Returns those that came too late.
    func shut() -> [Command] {
        let (late, waiters) = state.withLock { state in
            state.isClosed = true
            defer {
                state.commands = []
                state.closeWaiters = []
            }
            return (state.commands, state.closeWaiters)
        }
        for waiter in waiters { waiter.resume() }
        return late
    }

    /// Returns when the thread has ended.
    func waitUntilClosed() async {
        // Resumed exactly once: here, or by the one call of `shut`.
        await withUnsafeContinuation { continuation in
            let isClosed = state.withLock { state in
                if !state.isClosed { state.closeWaiters.append(continuation) }
                return state.isClosed
            }
            if isClosed { continuation.resume() }
        }
    }
}

/// The thread of a process's pipes: moves bytes, ends waits whose time is up, and sees the process out.

import Glibc
import Logging
import Transport

/// What the thread has. It is used by that thread alone once it has started.
final class ProcessPump: @unchecked Sendable {
    /// A process that was told that its input ends, or was asked to end, has so long to obey.
    private static let patience = Duration.seconds(2)
    /// How often it is looked whether the process lives while its pipes are silent: what it started may hold them open.
    private static let lookout = Duration.seconds(1)
    private static let bufferBytes = 64 * 1024
    /// One pipe's buffers that are read before the other is looked at.
    private static let readsInTurn = 16

    private enum Ending {
        case running
        case inputClosed(until: ContinuousClock.Instant)
        case terminated(until: ContinuousClock.Instant)
        case killed(until: ContinuousClock.Instant)
    }

    private var child: ChildProcess
    private let session: ProcessSession
    private let bell: WakeBell
    private var log: ProcessLog
    private let onChange: @Sendable () -> Void
    private var lines = LineReader(limit: ProcessSession.maxLineBytes)
    private var errorLines: LineReader
    private var ending = Ending.running
    private var buffer = [UInt8](repeating: 0, count: ProcessPump.bufferBytes)

    init(
        _ child: consuming ChildProcess, session: ProcessSession, bell: WakeBell, log: ProcessLog,
        onChange: @escaping @Sendable () -> Void
    ) {
        self.child = child
        self.session = session
        self.bell = bell
        self.log = log
        errorLines = LineReader(limit: log.keptBytes)
        self.onChange = onChange
    }

    /// Where no thread can be had, the process is ended.
    func start() throws(TransportError) {
        guard DetachedThread.start({ self.run() }) else {
            child.signal(SIGKILL)
            _ = child.reap()
            throw TransportError(.connect, "there is no thread for its process")
        }
    }

    private func run() {
        log.started()
        while !child.hasEnded, !isGivenUp {
            step(at: .now)
            wait()
            readErrors(Self.readsInTurn)
            readOutput(Self.readsInTurn)
            write()
        }
        // What it said last may explain its end, and what it started may go on to write.
        readErrors(Self.readsInTurn)
        readOutput(Self.readsInTurn * 8)
        if let line = errorLines.finish() { log.said(line) }
        if let line = lines.finish() { take(line) }
        end(because: isGivenUp ? "can't be ended" : child.reap())
    }

    private func end(because how: String) {
        let wasClosing = session.withState { state in
            state.isOver = true
            state.traffic.end(TransportError(.reset, "its process \(how)"))
            return state.isClosing
        }
        child.closeInput()
        child.closeOutput()
        child.closeErrors()
        log.ended(how, expected: wasClosing)
        session.gone()
    }

    /// Not even SIGKILL has ended it: it hangs in the kernel.
    private var isGivenUp: Bool {
        if case .killed(let until) = ending { return until <= .now }
        return false
    }

    /// Takes the next step towards the process's end, where it is due; and ends waits.
    private func step(at now: ContinuousClock.Instant) {
        let isClosing = session.withState { state in
            state.traffic.expire(at: now)
            return state.isClosing || state.isOver
        }
        switch ending {
        case .running where isClosing:
            child.closeInput()
            ending = .inputClosed(until: now + Self.patience)
        case .inputClosed(let until) where until <= now:
            child.signal(SIGTERM)
            ending = .terminated(until: now + Self.patience)
        case .terminated(let until) where until <= now:
            child.signal(SIGKILL)
            ending = .killed(until: now + Self.patience)
        default: break
        }
    }

    /// Waits until something is to be done.
    private func wait() {
        let (hasOutput, deadline) = session.withState { ($0.traffic.hasOutput, $0.traffic.nextDeadline) }
        var until = ContinuousClock.now + Self.lookout
        // Its end follows the end of its output as a rule.
        if child.output < 0 { until = .now + .milliseconds(10) }
        if let deadline { until = min(until, deadline) }
        switch ending {
        case .running: break
        case .inputClosed(let next), .terminated(let next), .killed(let next): until = min(until, next)
        }
        let left = max(.zero, until - .now)
        let milliseconds = Int32(
            left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000 + 1)
        var files = [
            pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0),
            // Below zero, where one is closed, it is passed over.
            pollfd(fd: child.output, events: Int16(POLLIN), revents: 0),
            pollfd(fd: child.errors, events: Int16(POLLIN), revents: 0),
            pollfd(fd: hasOutput ? child.input : -1, events: Int16(POLLOUT), revents: 0),
        ]
        // Whatever ends the wait, everything is looked at.
        _ = poll(&files, nfds_t(files.count), milliseconds)
        bell.silence()
    }

    private func readErrors(_ reads: Int) {
        for _ in 0..<reads where child.errors >= 0 {
            switch read(child.errors) {
            case .bytes(let count): for line in errorLines.feed(buffer[..<count]) { log.said(line) }
            case .nothing: return
            case .end: child.closeErrors()
            }
        }
    }

    private func readOutput(_ reads: Int) {
        for _ in 0..<reads where child.output >= 0 {
            switch read(child.output) {
            case .bytes(let count): for line in lines.feed(buffer[..<count]) { take(line) }
            case .nothing: return
            case .end:
                child.closeOutput()
                // It can't answer any more.
                session.withState { state in
                    state.isOver = true
                    state.traffic.end(TransportError(.reset, "its process has closed its output"))
                }
            }
        }
    }

    private func take(_ line: LineReader.Line) {
        let news = session.withState { state in
            let news = state.traffic.receive(line)
            if news.hasAnswered { state.hasAnswered = true }
            return news
        }
        if news.toolsChanged { onChange() }
        if let reason = news.rubbish { log.rubbish(line, because: reason) }
    }

    private func write() {
        while child.input >= 0 {
            let input = child.input
            let failure: Int32? = session.withState { state in
                // Within the lock: whoever gives a request up meanwhile has to know whether any of it was written. It doesn't block.
                guard let chunk = state.traffic.nextChunk() else { return EAGAIN }
                let count = Glibc.write(input, chunk, chunk.count)
                guard count > 0 else { return errno }
                state.traffic.wrote(count)
                return nil
            }
            switch failure {
            case nil, EINTR: continue
            case EAGAIN: return
            default:
                // It reads no more: what is asked of it from now on can't reach it.
                session.withState { $0.isOver = true }
                return child.closeInput()
            }
        }
    }

    private enum Reading {
        case bytes(Int)
        case nothing
        case end
    }

    private func read(_ end: Int32) -> Reading {
        while true {
            let count = Glibc.read(end, &buffer, buffer.count)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            if errno != EINTR { return errno == EAGAIN ? .nothing : .end }
        }
    }
}

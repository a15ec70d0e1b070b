/// Owns a tool server that is a process of this machine: starts it when it is needed, and again when it has ended.

import Logging
import Synchronization
import Transport

/// The way to a server over its process's standard input and output. Many requests share it.
final class MCPProcess: MCPTransport {
    /// What a program may take from its start to its first list of tools.
    private static let longestStart = Duration.seconds(20)

    let server: MCPServerName
    let mayIgnoreDiscovery = true
    private let command: [String]
    private let environment: ProcessEnvironment
    private let logger: Logger
    private let state = Mutex(State())
    private let changeCount = ChangeCount()

    private struct State: Sendable {
        var current: ProcessSession?
        /// Closed, but not yet gone.
        var leaving: [ProcessSession] = []
        var starts = 0
        var pause = RestartPause()
        var isClosed = false
    }

    init(server: MCPServerName, command: [String], environment: ProcessEnvironment, logger: Logger) {
        self.server = server
        self.command = command
        self.environment = environment
        self.logger = logger
    }

    deinit {
        // A thread of its own ends the process, without this.
        state.withLock { $0.current?.beginClosing() }
    }

    var changes: Int { changeCount.value }

    var startTime: Duration? {
        state.withLock { $0.current.map { $0.isUsable && $0.hasAnswered } ?? false } ? nil : Self.longestStart
    }

    func ask(
        _ asking: MCPAsking, heard: (ReplyReader.Item) async -> Void
    ) async -> (reply: MCPReply, sessionID: String?) {
        let session: ProcessSession
        switch currentSession(at: .now) {
        case .success(let found): session = found
        case .failure(let error): return (.broken(error), nil)
        }
        // A handshake was held with the process that is gone: nothing is sent to the new one before it had its own.
        if case .session(let held) = asking.era, let name = held.id, name != session.name {
            return (.refused(status: 404, text: nil, location: nil), nil)
        }
        let (items, feed) = AsyncStream.makeStream(
            of: ReplyReader.Item.self, bufferingPolicy: .bufferingNewest(64))
        session.ask(asking) { item in
            feed.yield(item)
            if case .reply = item { feed.finish() }
        }
        for await item in items {
            if case .reply(let reply) = item { return (reply, session.name) }
            await heard(item)
        }
        // Only cancellation ends the stream before a reply.
        session.forget(asking.id)
        return (.broken(TransportError(.cancelled, "the request was cancelled")), nil)
    }

    func tell(
        _ request: MCPRequest, era: MCPEra, headers: SecretHeaders, until deadline: ContinuousClock.Instant
    ) async throws(TransportError) -> Int {
        guard let session = usableSession, session.tell(request.body(id: 0, era: era)) else {
            throw TransportError(.reset, "its process has ended or takes no more input")
        }
        return 202
    }

    func takeBack(_ id: Int, era: MCPEra, headers: SecretHeaders) {
        // A process that was started since knows nothing of it, and minds nothing.
        usableSession?.tell(MCPRequest.cancelled(request: id).body(id: 0, era: era))
    }

    func close(era: MCPEra?, headers: SecretHeaders?) async {
        let sessions = state.withLock { state in
            state.isClosed = true
            defer { state.leaving = [] }
            return state.leaving + (state.current.map { [$0] } ?? [])
        }
        for session in sessions { session.beginClosing() }
        for session in sessions { await session.ended() }
    }

    private var usableSession: ProcessSession? {
        state.withLock { $0.current.flatMap { $0.isUsable ? $0 : nil } }
    }

    private func currentSession(at now: ContinuousClock.Instant) -> Result<ProcessSession, TransportError> {
        state.withLock { state in
            guard !state.isClosed else {
                return .failure(TransportError(.shutdown, "its process was ended with this one"))
            }
            if let current = state.current {
                if current.isUsable { return .success(current) }
                if current.hasAnswered { changeCount.add() }
                state.pause.ended(startedAt: current.startedAt, at: now)
                state.leaving = state.leaving.filter { !$0.isGone } + [current]
                state.current = nil
            }
            if let wait = state.pause.wait(at: now) {
                let seconds = max(1, wait.components.seconds)
                return .failure(
                    TransportError(
                        .connect, "its process keeps ending, and is not started again for \(seconds) s"))
            }
            state.starts += 1
            do throws(TransportError) {
                let session = try ProcessSession(
                    command, environment: environment.entries, name: "process \(state.starts)",
                    server: server, hiding: environment.values, logger: logger,
                    onChange: { [changeCount] in changeCount.add() })
                state.current = session
                return .success(session)
            } catch {
                state.pause.ended(startedAt: now, at: now)
                return .failure(error)
            }
        }
    }
}

/// Grows when a list of tools has become old.
private final class ChangeCount: Sendable {
    private let count = Atomic<Int>(0)

    var value: Int { count.load(ordering: .sequentiallyConsistent) }
    func add() { count.add(1, ordering: .sequentiallyConsistent) }
}

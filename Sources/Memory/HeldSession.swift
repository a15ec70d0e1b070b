/// One turn's hold on a session: what it may read and the one way to commit.
import Synchronization

/// Exactly one exists for a session in a process at a time. End it in every path: `defer { held.end() }`.
public final class HeldSession: Sendable {
    public let scope: Scope
    /// Where the session was found.
    public let tier: MemoryTier
    /// What the session's last owner left in L2; nothing where it was found in L1.
    public let live: LiveSession
    private let memory: SessionMemory
    private let state: Mutex<State>

    private struct State {
        var view: SessionView
        var isEnded = false
    }

    init(
        scope: Scope, tier: MemoryTier, view: SessionView, live: LiveSession = LiveSession(),
        memory: SessionMemory
    ) {
        self.scope = scope
        self.live = live
        self.tier = tier
        self.memory = memory
        state = Mutex(State(view: view))
    }

    /// The session as it was found, and after a commit with the committed turn.
    public var view: SessionView { state.withLock(\.view) }

    /// The turn of this id, if the session has one. Asks L2 only where the context does not hold the whole history.
    public func knownTurn(_ id: TurnID) async throws(MemoryError) -> StoredTurn? {
        let view = view
        if let found = view.context.last(where: { $0.turn.id == id }) { return found }
        guard view.contextStart > 1, view.turnCount > 0 else { return nil }
        return try await memory.storedTurn(scope, id: id)
    }

    /// The turn of this id as L2 has it now, also where another worker has changed it since the session was opened.
    public func storedTurn(_ id: TurnID) async throws(MemoryError) -> StoredTurn? {
        try await memory.storedTurn(scope, id: id)
    }

    /// The latest turn that answered a request with this body digest and finished at or after `since` (milliseconds
    /// since 1970): finds a retry that carries no id. Asks L2 only where the context does not go back so far.
    public func knownTurn(digest: String, since: Int64) async throws(MemoryError) -> StoredTurn? {
        let view = view
        let fits = { (stored: StoredTurn) in
            stored.turn.requestDigest == digest && stored.turn.finishedAt >= since
        }
        if let found = view.context.last(where: fits) { return found }
        guard view.contextStart > 1, let first = view.context.first, first.turn.finishedAt >= since else {
            return nil
        }
        return try await memory.storedTurn(scope, requestDigest: digest, since: since)
    }

    /// Stores the turn durably, after the turn that the session's view ends with. Where another writer appended
    /// meanwhile, it is stored after theirs, unchanged and marked concurrent. A turn id that is stored already is
    /// not stored again; an unfinished turn is replaced by a later one of its id until it is archived.
    ///
    /// - Parameter ownership: throws `elsewhere` where another worker has the session by now.
    public func commit(
        _ turn: Turn, ownership: SessionOwnership? = nil
    ) async throws(MemoryError) -> CommitOutcome {
        let (outcome, view) = try await memory.commit(turn, scope: scope, view: view, ownership: ownership)
        state.withLock { $0.view = view }
        return outcome
    }

    /// Gives the session to the next turn. Synchronous; a second call does nothing.
    public func end() {
        let isFirst = state.withLock { state in
            defer { state.isEnded = true }
            return !state.isEnded
        }
        if isFirst { memory.end(scope) }
    }

    deinit { end() }
}

/// Writes that arrive together share one transaction and its one disk flush; each is acknowledged after that, not before.
import GRDB
import Synchronization

final class GroupWriter: Sendable {
    /// Writes in a transaction, at most.
    private static let groupLimit = 128
    /// Writes that may wait; one more fails at once.
    private static let queueLimit = 4096

    struct Overloaded: Error, CustomStringConvertible {
        var description: String { "too many writes wait for the disk" }
    }

    struct Closed: Error, CustomStringConvertible {
        var description: String { "the store is closed" }
    }

    /// A write whose caller waits.
    private struct Job: Sendable {
        /// Does the work and returns how to acknowledge it; nil where nobody waits any more. Called once more where another
        /// write of its group failed.
        var perform: @Sendable (Database) throws -> (@Sendable () -> Void)?
        var fail: @Sendable (any Error) -> Void
    }

    private struct State {
        var queue: [Job] = []
        var isDraining = false
        var isClosed = false
    }

    private let pool: DatabasePool
    private let state = Mutex(State())

    init(pool: DatabasePool) {
        self.pool = pool
    }

    /// Returns once `body`'s changes are on the disk. A cancelled write throws at once and may take effect all the same.
    ///
    /// - Parameter afterwards: called when the transaction has ended, before the caller is told and also where it no longer
    ///   waits; with nil where the write failed.
    func write<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value,
        afterwards: @escaping @Sendable (Value?) -> Void = { _ in }
    ) async throws -> Value {
        let answer = Answer<Value>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard answer.expect(continuation) else { return }
                let job = Job(
                    perform: { db in
                        guard answer.isAwaited else { return nil }
                        let value = try body(db)
                        return {
                            afterwards(value)
                            answer.give(.success(value))
                        }
                    },
                    fail: {
                        afterwards(nil)
                        answer.give(.failure($0))
                    })
                enqueue(job)
            }
        } onCancel: {
            answer.give(.failure(CancellationError()))
        }
    }

    /// Refuses further writes and waits for those in the queue; false where it was closed before.
    func close() async -> Bool {
        let wasOpen = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard wasOpen else { return false }
        // The writer's queue is serial: when this runs, the drain before it has emptied ours.
        await withCheckedContinuation { continuation in
            pool.asyncWriteWithoutTransaction { _ in continuation.resume() }
        }
        return true
    }

    private func enqueue(_ job: Job) {
        enum Step { case start, wait, refuse(any Error) }
        let step: Step = state.withLock { state in
            if state.isClosed { return .refuse(Closed()) }
            if state.queue.count >= Self.queueLimit { return .refuse(Overloaded()) }
            state.queue.append(job)
            defer { state.isDraining = true }
            return state.isDraining ? .wait : .start
        }
        switch step {
        case .start: pool.asyncWriteWithoutTransaction { [self] db in drain(db) }
        case .wait: break
        case .refuse(let error): job.fail(error)
        }
    }

    private func nextGroup() -> [Job] {
        state.withLock { state in
            let group = Array(state.queue.prefix(Self.groupLimit))
            state.queue.removeFirst(group.count)
            if group.isEmpty { state.isDraining = false }
            return group
        }
    }

    private func drain(_ db: Database) {
        while case let group = nextGroup(), !group.isEmpty { settle(group, db) }
    }

    private func settle(_ group: [Job], _ db: Database) {
        do {
            for acknowledge in try commit(group, db) { acknowledge() }
        } catch {
            // One that can't be stored takes its transaction with it, so each gets one of its own. Savepoints would do too,
            // and would copy every page that every write changes.
            if group.count == 1 { return group[0].fail(error) }
            for job in group { settle([job], db) }
        }
    }

    private func commit(_ group: [Job], _ db: Database) throws -> [@Sendable () -> Void] {
        var acknowledgements: [@Sendable () -> Void] = []
        try db.inTransaction(.immediate) {
            acknowledgements = try group.compactMap { try $0.perform(db) }
            return .commit
        }
        return acknowledgements
    }
}

/// Hands one result to one waiting task, whoever comes first: the database, or the task's cancellation.
private final class Answer<Value: Sendable>: Sendable {
    private enum State {
        case early
        case awaited(CheckedContinuation<Value, any Error>)
        case given
    }

    private let state = Mutex(State.early)

    /// False where the task was cancelled before; the continuation has been resumed then.
    func expect(_ continuation: CheckedContinuation<Value, any Error>) -> Bool {
        let isEarly = state.withLock { state in
            guard case .early = state else { return false }
            state = .awaited(continuation)
            return true
        }
        if !isEarly { continuation.resume(throwing: CancellationError()) }
        return isEarly
    }

    var isAwaited: Bool {
        state.withLock { state in
            if case .awaited = state { true } else { false }
        }
    }

    func give(_ result: Result<Value, any Error>) {
        let continuation: CheckedContinuation<Value, any Error>? = state.withLock { state in
            defer { state = .given }
            if case .awaited(let continuation) = state { return continuation }
            return nil
        }
        continuation?.resume(with: result)
    }
}

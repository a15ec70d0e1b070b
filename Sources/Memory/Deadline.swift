/// Runs an operation against the clock: the one place where a store's or a model's slowness is cut off.

public struct DeadlineExceeded: Error {}

/// Throws `DeadlineExceeded` where `operation` is not done in time; it is cancelled and must obey.
public func withDeadline<Value: Sendable>(
    _ deadline: Duration, _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask(operation: operation)
        group.addTask {
            guard await Alarms.shared.wait(for: deadline) else { throw CancellationError() }
            throw DeadlineExceeded()
        }
        defer { group.cancelAll() }
        guard let first = try await group.next() else { throw CancellationError() }
        return first
    }
}

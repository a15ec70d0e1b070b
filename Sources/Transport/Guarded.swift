// A value behind a lock, in a form that the thread sanitizer understands.

import Synchronization

/// A `Mutex` with its order written down a second time.
///
/// The thread sanitizer doesn't see into the part of `Mutex` that waits, which is in the standard library, and takes
/// every contended lock for a race. An atomic that is read after locking and written before unlocking shows it the
/// same order; on the machines that we run on both are plain moves.
struct Guarded<Value: ~Copyable>: ~Copyable {
    private let mutex: Mutex<Value>
    private let order = Atomic<Bool>(false)

    init(_ value: consuming sending Value) {
        mutex = Mutex(value)
    }

    borrowing func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        try mutex.withLock { value throws(Failure) -> sending Result in
            _ = order.load(ordering: .acquiring)
            defer { order.store(true, ordering: .releasing) }
            return try body(&value)
        }
    }
}

extension Guarded: Sendable where Value: ~Copyable {}

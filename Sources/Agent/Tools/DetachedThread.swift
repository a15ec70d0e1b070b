/// Starts threads for work that may block: those that tasks share must not.
import Glibc

enum DetachedThread {
    private final class Body: Sendable {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Runs `body` in a thread of its own, which ends with it and is waited for by nobody.
    ///
    /// - Returns: false where no thread can be had; then nothing runs.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        // The thread inherits a mask without any signal: what is written to a closed pipe costs an error, not a SIGPIPE, and this
        // process's own signals belong to other threads.
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let pointer = Unmanaged.passRetained(Body(body))
        let failure = pthread_create(
            &thread, nil,
            { pointer in
                if let pointer { Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run() }
                return nil
            }, pointer.toOpaque())
        guard failure == 0 else {
            pointer.release()
            return false
        }
        pthread_detach(thread)
        return true
    }
}

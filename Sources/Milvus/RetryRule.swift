/// Decides whether a call that failed is made again, and after how long.
struct RetryRule {
    /// How likely it is that the same call passes later.
    enum Hope: Equatable {
        /// The server is away, starting, or limits us.
        case soon
        /// Something broke inside the server; it may have been this call.
        case twice
        case none
    }

    /// Of the first wait; each further one is twice as long, up to `longest`.
    var shortest: Duration = .milliseconds(50)
    var longest: Duration = .seconds(2)

    private var failures = 0

    /// - Parameters:
    ///   - remaining: of the call's deadline.
    ///   - jitter: 0..<1, by chance, so that callers who failed together come back apart.
    /// - Returns: the wait before the call is made again, or nil where it isn't.
    mutating func failed(_ hope: Hope, remaining: Duration, jitter: Double) -> Duration? {
        failures += 1
        switch hope {
        case .none: return nil
        case .twice where failures > 2: return nil
        case .soon, .twice: break
        }
        let full = min(longest, shortest * (1 << min(failures - 1, 16)))
        let wait = full / 2 + full * (jitter / 2)
        // A call that would begin at its deadline is not worth the wait: its caller learns now.
        return wait < remaining ? wait : nil
    }
}

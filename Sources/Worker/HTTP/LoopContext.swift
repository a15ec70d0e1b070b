/// What all connections of one event loop share. Lives on that loop.
final class LoopContext {
    let clock: LoopClock
    let limits: ConnectionLimits
    /// Hands a whole request to the server's task group; false where the server takes no more.
    let accept: @Sendable (ServerRequest) -> Bool
    /// Set while the server drains: every answer then closes its connection.
    let draining: @Sendable () -> Bool
    /// Set when the server's time is over: whatever waits for a client to leave then counts it as gone.
    let cutting: @Sendable () -> Bool

    init(
        clock: LoopClock, limits: ConnectionLimits, draining: @escaping @Sendable () -> Bool,
        cutting: @escaping @Sendable () -> Bool, accept: @escaping @Sendable (ServerRequest) -> Bool
    ) {
        self.clock = clock
        self.limits = limits
        self.draining = draining
        self.cutting = cutting
        self.accept = accept
    }
}

/// What all connections of one event loop share. Lives on that loop.
final class LoopContext {
    let clock: LoopClock
    let limits: ConnectionLimits
    /// Hands a whole request to the server's task group; false where the server takes no more.
    let accept: @Sendable (ServerRequest) -> Bool
    /// Set while the server drains: every answer then closes its connection.
    let draining: @Sendable () -> Bool

    init(
        clock: LoopClock, limits: ConnectionLimits, draining: @escaping @Sendable () -> Bool,
        accept: @escaping @Sendable (ServerRequest) -> Bool
    ) {
        self.clock = clock
        self.limits = limits
        self.draining = draining
        self.accept = accept
    }
}

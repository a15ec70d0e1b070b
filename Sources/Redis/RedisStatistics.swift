/// Counts what a client does.
import Synchronization

public struct RedisStatistics: Sendable, Equatable {
    /// Masters known now.
    public var nodes = 0
    /// Connections that are ready now.
    public var connections = 0
    /// Commands that wait or are unanswered now.
    public var inFlight = 0
    /// The rest counts from the client's start. Commands sent, each attempt of one counted.
    public var commands = 0
    public var redirects = 0
    public var reconnects = 0
    public var timeouts = 0
    public var overloads = 0
    /// Answers that asked to try again later (LOADING, TRYAGAIN and their like), and lost idempotent commands.
    public var retries = 0
}

/// The counters behind it, which any thread may move.
struct Counters: ~Copyable, Sendable {
    let commands = Atomic<Int>(0)
    let redirects = Atomic<Int>(0)
    let timeouts = Atomic<Int>(0)
    let overloads = Atomic<Int>(0)
    let retries = Atomic<Int>(0)
    let reconnects = Atomic<Int>(0)
}

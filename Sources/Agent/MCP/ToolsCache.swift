/// Decides how long a listing of tools is good for, and when an older one has to do. A value without clock or I/O.

/// The last listing of a server's tools. Instants are of one monotonic clock, passed in.
struct ToolsCache: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// For servers that don't say, as those of the older era don't.
    static let defaultTimeToLive = Duration.seconds(60)
    /// How long tools are still offered after the last time that they could be listed.
    static let grace = Duration.seconds(600)
    /// How long after a first failure nothing is tried; after each further one twice as long.
    static let firstPause = Duration.seconds(5)
    static let longestPause = Duration.seconds(60)
    private static let maxWarnings = 1024

    private struct Listing: Sendable {
        var tools: [Tool]
        var freshUntil: Instant
        var usableUntil: Instant
        /// Whose it is: a server may show others to other credentials.
        var headers: SecretHeaders
    }

    /// Tries in a row that failed.
    private struct Failure: Sendable {
        var error: MCPError
        var count: Int
        var until: Instant
        var headers: SecretHeaders
    }

    private var listing: Listing?
    private var failure: Failure?
    /// Of the count of what was heard outside of answers.
    private var heard = 0
    /// Counts what made listings old, so that one that was begun before isn't taken for fresh.
    private(set) var changes = 0
    private var warned: Set<ToolListing.Warning> = []

    /// What is answered without another try: the tools that need not be listed anew, those that stand in for a while, or why there are
    /// none.
    func known(for headers: SecretHeaders, at now: Instant) -> Result<[Tool], MCPError>? {
        if let listing, listing.headers == headers, now < listing.freshUntil {
            return .success(listing.tools)
        }
        guard let failure, failure.headers == headers, now < failure.until else { return nil }
        return .failure(failure.error)
    }

    /// A listing came.
    ///
    /// - Parameter changes: what `changes` was when it was begun.
    mutating func listed(
        _ tools: [Tool], timeToLive: Duration?, for headers: SecretHeaders, begunAfter changes: Int,
        at now: Instant
    ) {
        let time = timeToLive ?? Self.defaultTimeToLive
        failure = nil
        listing = Listing(
            tools: tools, freshUntil: changes == self.changes ? now + time : now,
            usableUntil: now + max(time, Self.grace), headers: headers)
    }

    /// A listing failed. Answers the tools of the older one, where it may still stand in.
    ///
    /// Those who waited for the same try say so too: within its pause a failure is the same one.
    mutating func failed(_ error: MCPError, for headers: SecretHeaders, at now: Instant) -> [Tool]? {
        let last = failure.flatMap { $0.headers == headers ? $0 : nil }
        if last.map({ now >= $0.until }) ?? true {
            let count = (last?.count ?? 0) + 1
            failure = Failure(
                error: error, count: count, until: now + Self.pause(after: count), headers: headers)
        }
        guard let listing, listing.headers == headers, now < listing.usableUntil else { return nil }
        self.listing?.freshUntil = failure?.until ?? now
        return listing.tools
    }

    private static func pause(after failures: Int) -> Duration {
        min(firstPause * (1 << min(failures - 1, 10)), longestPause)
    }

    /// - Parameter count: of what was said outside of answers, or of starts; grows.
    mutating func heard(_ count: Int, at now: Instant) {
        guard count != heard else { return }
        heard = count
        becameOld(at: now)
    }

    /// The server said that its tools are others now, or may have been started anew.
    mutating func becameOld(at now: Instant) {
        changes += 1
        // Whoever says so can be asked.
        if let failure, failure.until > now { self.failure?.until = now }
        if let listing, listing.freshUntil > now { self.listing?.freshUntil = now }
    }

    /// Those warnings that nobody has heard yet.
    mutating func unheard(_ warnings: [ToolListing.Warning]) -> [ToolListing.Warning] {
        warnings.filter { warned.count < Self.maxWarnings && warned.insert($0).inserted }
    }
}

/// Decides how long a listing of tools is good for, and when an older one has to do. A value without clock or I/O.

/// The last listing of a server's tools. Instants are of one monotonic clock, passed in.
struct ToolsCache: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// For servers that don't say, as those of the older era don't.
    static let defaultTimeToLive = Duration.seconds(60)
    /// How long tools are still offered after the last time that they could be listed.
    static let grace = Duration.seconds(600)
    /// How long after a failure the older listing is answered without another try.
    static let pause = Duration.seconds(5)
    private static let maxWarnings = 1024

    private struct Listing: Sendable {
        var tools: [Tool]
        var freshUntil: Instant
        var usableUntil: Instant
        /// Whose it is: a server may show others to other credentials.
        var headers: SecretHeaders
    }

    private var listing: Listing?
    /// Counts what made listings old, so that one that was begun before isn't taken for fresh.
    private(set) var changes = 0
    private var warned: Set<ToolListing.Warning> = []

    /// The tools, where they need not be listed anew.
    func tools(for headers: SecretHeaders, at now: Instant) -> [Tool]? {
        guard let listing, listing.headers == headers, now < listing.freshUntil else { return nil }
        return listing.tools
    }

    /// A listing came.
    ///
    /// - Parameter changes: what `changes` was when it was begun.
    mutating func listed(
        _ tools: [Tool], timeToLive: Duration?, for headers: SecretHeaders, begunAfter changes: Int,
        at now: Instant
    ) {
        let time = timeToLive ?? Self.defaultTimeToLive
        listing = Listing(
            tools: tools, freshUntil: changes == self.changes ? now + time : now,
            usableUntil: now + max(time, Self.grace), headers: headers)
    }

    /// A listing failed. Answers the tools of the older one, where it may still stand in.
    mutating func failed(for headers: SecretHeaders, at now: Instant) -> [Tool]? {
        guard let listing, listing.headers == headers, now < listing.usableUntil else { return nil }
        self.listing?.freshUntil = now + Self.pause
        return listing.tools
    }

    /// The server said that its tools are others now, or may have been started anew.
    mutating func becameOld(at now: Instant) {
        changes += 1
        if let listing, listing.freshUntil > now { self.listing?.freshUntil = now }
    }

    /// Those warnings that nobody has heard yet.
    mutating func unheard(_ warnings: [ToolListing.Warning]) -> [ToolListing.Warning] {
        warnings.filter { warned.count < Self.maxWarnings && warned.insert($0).inserted }
    }
}

/// Where L2 on Redis keeps what: all keys of a principal share one hash tag, so that a script may change them in one step.
import Redis

/// The keys of one pool. Pools share a Redis without seeing each other's work: each archives with models of its own.
public struct RedisKeyspace: Hashable, Sendable {
    /// What all keys of the pool begin with. Made from a digest: nothing that a user chose is part of a key.
    public let prefix: String
    /// Parts of an index over all principals. A part is one key, so it is one node's; parts spread the load. The same number for
    /// all that use the pool.
    let parts: Int

    /// - Parameter pool: the pool's memory scope.
    public init(pool: String) { self.init(pool: pool, parts: 16) }

    init(pool: String, parts: Int) {
        prefix = "agentpool:" + Digest128(pool: pool).description.prefix(16) + ":"
        self.parts = parts
    }

    func keys(_ scope: Scope) -> RedisKeys {
        RedisKeys(prefix: prefix, principal: scope.principal, session: scope.session)
    }

    func keys(_ item: RedisWorkItem) -> RedisKeys {
        RedisKeys(prefix: prefix, principal: item.principal, session: item.session)
    }

    /// Sessions by when somebody is to look at them: a plan waits, or the fragment is due.
    func work(_ part: Int) -> RedisArgument { RedisArgument("\(prefix)work:{\(part)}") }
    /// Sessions whose forgetting is not confirmed.
    func forgets(_ part: Int) -> RedisArgument { RedisArgument("\(prefix)forgets:{\(part)}") }
    /// Batches that can't be archived, with the reasons.
    func parked(_ part: Int) -> RedisArgument { RedisArgument("\(prefix)parked:{\(part)}") }
    /// Written to see whether the part's node takes writes.
    func probe(_ part: Int) -> RedisArgument { RedisArgument("\(prefix)probe:{\(part)}") }

    /// What the pool's workers report of themselves.
    var reports: RedisArgument { RedisArgument("\(prefix)reports") }
    /// Where a worker is told that another has written to what it held.
    func held(by worker: String) -> RedisArgument { RedisArgument(listeners + worker) }
    /// What the channels of all workers begin with.
    var listeners: String { prefix + "held:" }

    /// Which part of the indexes a principal's sessions are in.
    func part(of principal: Digest128) -> Int {
        principal.bytes.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF } % parts
    }
}

/// The keys of one session and its principal.
struct RedisKeys {
    /// In the order in which the scripts name them.
    let all: [RedisArgument]
    /// The session's checkpoint.
    var session: RedisArgument { all[3] }
    /// Who has the session, and the events of its latest turn. They live as long as somebody may come back for them, not as
    /// long as the session.
    let live: [RedisArgument]

    fileprivate init(prefix: String, principal: Digest128, session: Digest128) {
        let base = "\(prefix){\(principal)}:"
        all =
            ["principal", "open", "forgetting"].map { RedisArgument(base + $0) }
            + ["session", "turns", "names", "batches", "rows", "gone"].map {
                RedisArgument("\(base)\($0):\(session)")
            }
        live = ["live", "events"].map { RedisArgument("\(base)\($0):\(session)") }
    }
}

/// How the indexes name a session: both digests in hexadecimal.
struct RedisWorkItem: Hashable {
    var principal: Digest128
    var session: Digest128

    init(_ scope: Scope) {
        principal = scope.principal
        session = scope.session
    }

    init?(member: String) {
        let parts = member.split(separator: ":").map(String.init)
        guard parts.count == 2, let principal = Digest128(hexadecimal: parts[0]),
            let session = Digest128(hexadecimal: parts[1])
        else { return nil }
        self.principal = principal
        self.session = session
    }

    var member: RedisArgument { RedisArgument("\(principal):\(session)") }

    /// - Parameter name: the client's name for it, where it is known.
    func scope(name: String = "") -> Scope { Scope(principal: principal, session: session, sessionID: name) }
}

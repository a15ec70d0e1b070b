/// L2 on Redis, standalone or Cluster: a script for each step, acknowledged when the replicas that were asked for have it.
import Logging
public import NIOCore
import Redis

public struct RedisCheckpoints: CheckpointStore {
    /// Milliseconds that a session's keys outlive its checkpoint's time.
    static let grace: Int64 = 86_400_000

    let client: RedisClient
    let keyspace: RedisKeyspace
    let policy: BufferPolicy
    let waitReplicas: Int
    let commitDeadline: Duration
    /// Milliseconds.
    let headStart: Int64
    let losses = RedisLosses()
    let elsewhere: RedisElsewhere
    let rotation: RedisRotation
    let ownPlans = RedisOwnPlans()
    let counts: RedisCounts
    let durability = RedisDurability()
    let logger: Logger
    let now: @Sendable () -> Int64

    /// Connects to nothing yet: `run` does.
    ///
    /// - Parameters:
    ///   - waitReplicas: replicas that must have a write before it counts.
    ///   - headStart: after this another worker may carry out the plan that a commit has written; its own begins at once.
    ///   - now: milliseconds since 1970.
    public init(
        _ settings: RedisSettings, group: any EventLoopGroup, keyspace: RedisKeyspace, policy: BufferPolicy,
        waitReplicas: Int, commitDeadline: Duration = .seconds(15),
        headStart: Duration = .seconds(30),
        logger: Logger, now: @escaping @Sendable () -> Int64
    ) {
        client = RedisClient(settings, group: group, logger: logger)
        self.keyspace = keyspace
        self.policy = policy
        self.waitReplicas = waitReplicas
        self.commitDeadline = commitDeadline
        self.headStart = headStart.milliseconds
        self.logger = logger
        self.now = now
        elsewhere = RedisElsewhere(keyspace: keyspace)
        rotation = RedisRotation(parts: keyspace.parts)
        counts = RedisCounts(parts: keyspace.parts)
    }

    public func load(_ scope: Scope, contextLimit: Int) async throws -> SessionView {
        guard case .here(let view, _) = try await open(scope, contextLimit: contextLimit, others: []) else {
            throw RedisReplyShape(script: RedisScript.load.name)
        }
        return view
    }

    public func open(
        _ scope: Scope, contextLimit: Int, others: [String]
    ) async throws -> SessionOpening {
        let arguments = [RedisArgument(contextLimit)] + others.map { RedisArgument($0) }
        let answer = try await read(.load, scope, arguments)
        if answer.string == "lost" {
            report(scope)
            return .here(SessionView(), LiveSession())
        }
        if answer.array?.first?.string == "elsewhere" {
            var reply = try RedisReply(.array(Array(answer.array?.dropFirst() ?? [])), of: .load)
            var live = try reply.list()
            return .elsewhere(try live.liveSession())
        }
        var reply = try RedisReply(answer, of: .load)
        var fields = try reply.list()
        let live = try fields.liveSession()
        if reply.isAtEnd { return .here(SessionView(), live) }
        let checkpoint = try reply.checkpoint()
        return .here(SessionView(checkpoint: checkpoint, context: try reply.turns()), live)
    }

    public func commit(_ request: CommitRequest) async throws -> CommitAnswer {
        let entry = try await schedule(request)
        let script = RedisScript.commit
        let mark = elsewhere.mark(of: request.scope.principal)
        var reply: RedisReply
        do {
            reply = try RedisReply(
                try await write(script, request.scope, try Self.arguments(request)), of: script)
        } catch {
            // It may have run.
            elsewhere.lost(request.scope.principal)
            throw error
        }
        switch try reply.text() {
        case "applied":
            let sequence = try reply.number(Int.self)
            let checkpoint = try reply.checkpoint(knowing: request.known.rollingSummary)
            let first = try reply.number(Int.self)
            if begins(request, sequence: sequence), mustHaveExisted(entry) { report(request.scope) }
            elsewhere.committed(
                request.scope, sequence: sequence == checkpoint.turnCount ? sequence : nil,
                from: try reply.number(), to: try reply.number(), since: mark)
            let plan =
                first == 0
                ? nil
                : ArchivePlan(
                    scope: request.scope, agent: checkpoint.activeAgent, first: first,
                    last: checkpoint.turnCount,
                    generation: checkpoint.generation, createdAt: checkpoint.createdAt)
            if let plan, let entry { ownPlans.note(plan, entry) }
            return .applied(sequence: sequence, checkpoint: checkpoint, plan: plan)
        case "duplicate": return .duplicate(try reply.turn())
        case "stale": return .stale(lastTurnID: TurnID(try reply.text()))
        case "forgotten": return .forgotten(generation: try reply.number())
        case "elsewhere": return .elsewhere(owner: try reply.text())
        case "lost":
            report(request.scope)
            return .stale(lastTurnID: nil)
        default: throw RedisReplyShape(script: script.name)
        }
    }

    public func turns(_ scope: Scope, after: Int, limit: Int) async throws -> [StoredTurn] {
        var found: [StoredTurn] = []
        var after = max(0, after)
        while found.count < limit {
            let wanted = min(limit - found.count, 256)
            var reply = try RedisReply(
                try await read(.history, scope, [RedisArgument(after), RedisArgument(wanted)]), of: .history)
            let turns = try reply.turns()
            found += turns
            guard let last = turns.last, turns.count == wanted else { break }
            after = last.sequence
        }
        return found
    }

    public func turn(_ scope: Scope, id: TurnID) async throws -> StoredTurn? {
        try await turn(scope, name: "t" + id.value)
    }

    public func turn(_ scope: Scope, requestDigest: String, since: Int64) async throws -> StoredTurn? {
        try await turn(scope, name: "d" + requestDigest).flatMap { $0.turn.finishedAt >= since ? $0 : nil }
    }

    private func turn(_ scope: Scope, name: String) async throws -> StoredTurn? {
        var reply = try RedisReply(try await read(.turn, scope, [RedisArgument(name)]), of: .turn)
        return reply.isAtEnd ? nil : try reply.turn()
    }

    /// From L1 where no other worker has changed them; else read, and held from the next own commit on.
    public func fragments(_ scope: Scope, limit: FragmentLimit) async throws -> Fragments {
        try await fragments(scope, limit: limit, query: nil).fragments
    }

    public func fragments(
        _ scope: Scope, limit: FragmentLimit, recalling query: Digest128
    ) async throws -> (fragments: Fragments, recalled: String?) {
        try await fragments(scope, limit: limit, query: query)
    }

    /// Where the fragments are in L1, what was kept of a recall is not asked for: L1 has the memories too, or will soon.
    private func fragments(
        _ scope: Scope, limit: FragmentLimit, query: Digest128?
    ) async throws -> (fragments: Fragments, recalled: String?) {
        if let held = elsewhere.current(scope, limit: limit) { return (held, nil) }
        let mark = elsewhere.mark(of: scope.principal)
        let arguments = [
            RedisArgument(limit.sessions), RedisArgument(limit.turns),
            RedisArgument(scope.session.description),
            RedisArgument(min(limit.ownTurnsBefore, 1 << 40)),
            RedisArgument(query?.description ?? ""), RedisArgument(now()),
        ]
        var reply = try RedisReply(try await read(.fragments, scope, arguments), of: .fragments)
        var fragments = Fragments(archiveGeneration: try reply.number(), turns: [], forgetting: [:])
        let (version, holder) = (try reply.number(Int64.self), try reply.text())
        var forgetting = try reply.list()
        while !forgetting.isAtEnd {
            let field = try forgetting.text()
            let value = try forgetting.number(Int64.self)
            if let session = Digest128(hexadecimal: field) { fragments.forgetting[session] = value }
        }
        let isWhole = try reply.text() == "1"
        let recalled = try reply.text()
        while !reply.isAtEnd {
            var entry = try reply.list()
            guard let session = Digest128(hexadecimal: try entry.text()) else {
                throw RedisReplyShape(script: RedisScript.fragments.name)
            }
            let name = try entry.text()
            fragments.turns.append(FragmentTurn(session: session, sessionID: name, stored: try entry.turn()))
        }
        elsewhere.read(
            fragments, scope, limit: limit, isWhole: isWhole, version: version, holder: holder,
            since: mark)
        return (fragments, recalled.isEmpty ? nil : recalled)
    }

    public var otherWriters: OtherWriters { elsewhere.isListening ? .heard : .unheard }

    public func areOurs(_ sessions: [Scope]) async throws -> [Bool] {
        let commands = sessions.map { scope in
            let key = keyspace.keys(scope).session
            return RedisCommand("HGET", [key, "w"], key: key, isIdempotent: true)
        }
        return await client.send(commands).map { answer in
            // Of one that can't be asked it is not known that another has it.
            guard let worker = try? answer.get().bytes else { return true }
            return worker == elsewhere.worker.bytes
        }
    }

    public func released(_ scope: Scope) {
        elsewhere.lost(scope.principal)
    }

    public func onForeignChange(_ handler: @escaping @Sendable (ForeignChange) -> Void) {
        elsewhere.onChange(handler)
    }

    /// Expired keys go by themselves.
    public func expire(now: Int64, limit: Int) async throws -> Int { 0 }

    public func close() async {
        await client.close()
    }
}

/// What the calls share.
extension RedisCheckpoints {
    func read(_ script: RedisScript, _ scope: Scope, _ arguments: [RedisArgument]) async throws -> RedisValue
    {
        try await client.evaluate(
            script, keys: keyspace.keys(scope).all, arguments: arguments, isIdempotent: true)
    }

    /// Returns when as many replicas as asked for have it; throws where that can't be said.
    func write(_ script: RedisScript, _ scope: Scope, _ arguments: [RedisArgument]) async throws -> RedisValue
    {
        let (value, replicas) = try await client.commit(
            script, keys: keyspace.keys(scope).all, arguments: arguments + [elsewhere.worker],
            waitReplicas: waitReplicas,
            deadline: commitDeadline)
        guard replicas >= waitReplicas else {
            throw ReplicasMissing(script: script.name, confirmed: replicas, wanted: waitReplicas)
        }
        return value
    }

    /// A write that changes what recall reads, other than a commit.
    func change(_ script: RedisScript, _ scope: Scope, _ arguments: [RedisArgument]) async throws
        -> RedisValue
    {
        // Before it too: where no answer comes, it may have run all the same.
        elsewhere.lost(scope.principal)
        defer { elsewhere.lost(scope.principal) }
        return try await write(script, scope, arguments)
    }

    private static func arguments(_ request: CommitRequest) throws -> [RedisArgument] {
        let (turn, known, policy) = (request.turn, request.known, request.policy)
        return [
            RedisArgument(turn.id.value), RedisArgument(RedisTurn.mark(turn.ending)),
            RedisArgument(turn.requestDigest ?? ""), RedisArgument(turn.agent),
            RedisArgument(request.scope.sessionID), RedisArgument(try TurnCoding.encode(turn)),
            RedisArgument(known.generation), RedisArgument(known.lastTurnID?.value ?? ""),
            RedisArgument(known.turnCount), RedisArgument(known.archivedFirst),
            RedisArgument(known.archivedThrough), RedisArgument(request.now), RedisArgument(policy.rounds),
            RedisArgument(policy.historyLimit), RedisArgument(policy.checkpointTTL),
            RedisArgument(Self.grace), RedisArgument(request.scope.session.description),
            RedisArgument(request.ownership?.length.milliseconds ?? 0),
            RedisArgument(request.ownership?.seen ?? ""),
            RedisArgument(ActivatedSkills.text(turn.activatedSkills)),
        ]
    }

    private func report(_ scope: Scope) {
        losses.note()
        logger.error(
            "a session's keys are gone from Redis before their time: it begins anew",
            metadata: ["session": "\(scope.session)"])
    }
}

struct ReplicasMissing: Error, CustomStringConvertible {
    var script: String
    var confirmed: Int
    var wanted: Int
    var description: String {
        "\(confirmed) of \(wanted) replicas confirmed the script \"\(script)\" in time"
    }
}

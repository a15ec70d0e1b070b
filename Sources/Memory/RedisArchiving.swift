/// L2 on Redis: who carries out an archive plan, and forgetting.
import Redis

extension RedisCheckpoints {
    public func claim(
        _ plan: ArchivePlan, token: String, until: Int64, now: Int64
    ) async throws -> ClaimAnswer {
        guard let identity = Self.identity(plan) else { return .gone }
        var reply = try RedisReply(
            try await write(
                .claim, plan.scope,
                identity + [RedisArgument(token), RedisArgument(until), RedisArgument(now)]),
            of: .claim)
        switch try reply.text() {
        case "granted":
            let summary = try reply.text()
            let attempts = try reply.number(Int.self)
            var written = try reply.list()
            let rows = try written.texts()
            return .granted(
                ClaimedBatch(
                    turns: try reply.turns(), rollingSummary: summary, attempts: attempts, rows: rows))
        case "busy": return .busy
        default: return .gone
        }
    }

    public func recordRows(_ claim: ArchiveClaim, rows: [String], until: Int64) async throws -> Bool {
        guard let identity = Self.identity(claim.plan) else { return false }
        let arguments =
            identity + [RedisArgument(claim.token), RedisArgument(until)] + rows.map { RedisArgument($0) }
        return try await write(.recordRows, claim.plan.scope, arguments).int == 1
    }

    public func finish(
        _ claim: ArchiveClaim, rows: [String], rollingSummary: String
    ) async throws -> FinishAnswer {
        guard let identity = Self.identity(claim.plan) else { return .lost(rows: nil) }
        let arguments =
            identity + [
                RedisArgument(claim.token), RedisArgument(rollingSummary),
                RedisArgument(now()), RedisArgument(policy.sweepMargin), RedisArgument(Self.grace),
            ]
            + rows.map { RedisArgument($0) }
        let scheduled = try await time(of: claim.plan)
        let mark = elsewhere.mark(of: claim.plan.scope.principal)
        do {
            var reply = try RedisReply(try await write(.finish, claim.plan.scope, arguments), of: .finish)
            switch try reply.text() {
            case "archived":
                let checkpoint = try reply.checkpoint()
                let again = try reply.number(Int64.self)
                let generation = try reply.number(Int64.self)
                elsewhere.archived(
                    claim.plan, generation: generation, from: try reply.number(), to: try reply.number(),
                    isParked: try reply.text() == "1", since: mark)
                await settle(claim.plan, from: scheduled, to: again)
                return .archived(checkpoint)
            case "forgotten": return .forgotten
            case "done": return .lost(rows: try reply.texts())
            default: return .lost(rows: nil)
            }
        } catch {
            // It may have run.
            elsewhere.lost(claim.plan.scope.principal)
            throw error
        }
    }

    public func giveBack(_ claim: ArchiveClaim, _ failure: ArchiveFailure) async throws {
        guard let identity = Self.identity(claim.plan) else { return }
        let item = RedisWorkItem(claim.plan.scope)
        if failure.nextAttempt == nil {
            // Before the step it speaks of: a parked batch must never be one that nobody knows of.
            _ = try await client.send(
                RedisCommand(
                    "HSET", [parked(item), RedisArgument(claim.plan.batchID), RedisArgument(failure.reason)],
                    key: parked(item), isIdempotent: true))
        }
        let arguments =
            identity + [
                RedisArgument(claim.token), RedisArgument(failure.attempts),
                RedisArgument(failure.nextAttempt.map(String.init) ?? ""), RedisArgument(failure.reason),
            ]
        _ = try await change(.giveBack, claim.plan.scope, arguments)
    }

    /// When the session is to be looked at; nil: it isn't.
    private func time(of plan: ArchivePlan) async throws -> String? {
        if let known = ownPlans.take(plan) { return known }
        let item = RedisWorkItem(plan.scope)
        return try await client.send(
            RedisCommand("ZSCORE", [work(item), item.member], key: work(item), isIdempotent: true)
        ).string
    }

    /// Nobody need look at the session for the sake of this plan any more. Where it fails, somebody looks for nothing, and a note
    /// for people is left behind.
    ///
    /// - Parameter time: when to look at it again; 0: as the index has it.
    private func settle(_ plan: ArchivePlan, from scheduled: String?, to time: Int64) async {
        let item = RedisWorkItem(plan.scope)
        let key = parked(item)
        _ = await client.send([
            RedisCommand("HDEL", [key, RedisArgument(plan.batchID)], key: key, isIdempotent: true)
        ])
        guard let scheduled, time > 0 else { return }
        do { try await reschedule(item, from: scheduled, to: time) } catch {
            logger.debug("work index not brought up to date", metadata: ["error": "\(error)"])
        }
    }

    private func parked(_ item: RedisWorkItem) -> RedisArgument {
        keyspace.parked(keyspace.part(of: item.principal))
    }

    private static func identity(_ plan: ArchivePlan) -> [RedisArgument]? {
        guard let created = plan.createdAt else { return nil }
        return [
            RedisArgument(plan.scope.session.description), RedisArgument(plan.first),
            RedisArgument(plan.last),
            RedisArgument(plan.generation), RedisArgument(created), RedisArgument(plan.batchID),
        ]
    }
}

/// Forgetting.
extension RedisCheckpoints {
    public func forget(_ scope: Scope, policy: BufferPolicy, now: Int64) async throws -> ForgetWork {
        let item = RedisWorkItem(scope)
        try await enter(item.member, in: forgets(item), at: now)
        let arguments = [
            RedisArgument(scope.session.description), RedisArgument(scope.sessionID), RedisArgument(now),
            RedisArgument(policy.checkpointTTL), RedisArgument(Self.grace),
        ]
        let answer = try await change(.forget, scope, arguments)
        guard let work = try Self.work(answer, of: .forget, scope) else {
            throw RedisReplyShape(script: RedisScript.forget.name)
        }
        return work
    }

    /// The first step of a pass of maintenance: the next parts have their turn.
    public func pendingForgets(limit: Int) async throws -> [ForgetWork] {
        rotation.advance()
        let found = try await parts(of: keyspace.forgets) { key in
            RedisCommand("ZRANGE", [key, "0", RedisArgument(limit - 1)], key: key, isIdempotent: true)
        }
        let items = found.flatMap { $0.array ?? [] }.compactMap { $0.string.flatMap(RedisWorkItem.init) }
        var pending: [ForgetWork] = []
        for item in items.prefix(limit) {
            let scope = item.scope()
            let answer = try await read(
                .forgetWork, scope, [RedisArgument(item.session.description)])
            if let work = try Self.work(answer, of: .forgetWork, scope) {
                pending.append(work)
            } else {
                try await removeForget(item)
            }
        }
        return pending
    }

    public func completeForget(_ work: ForgetWork) async throws {
        let arguments = [
            RedisArgument(work.scope.session.description), RedisArgument(work.generation),
            RedisArgument(work.generation),
        ]
        if try await change(.completeForget, work.scope, arguments).int == 1 {
            try await removeForget(RedisWorkItem(work.scope))
        }
    }

    private func forgets(_ item: RedisWorkItem) -> RedisArgument {
        keyspace.forgets(keyspace.part(of: item.principal))
    }

    private func removeForget(_ item: RedisWorkItem) async throws {
        _ = try await client.send(
            RedisCommand("ZREM", [forgets(item), item.member], key: forgets(item), isIdempotent: true))
    }

    private static func work(_ answer: RedisValue, of script: RedisScript, _ scope: Scope) throws
        -> ForgetWork?
    {
        var reply = try RedisReply(answer, of: script)
        guard !reply.isAtEnd else { return nil }
        let generation = try reply.number(Int64.self)
        let until = try reply.number(Int64.self)
        let name = try reply.text()
        return ForgetWork(
            scope: Scope(principal: scope.principal, session: scope.session, sessionID: name),
            generation: generation, rows: try reply.texts(), claimsUntil: until)
    }
}

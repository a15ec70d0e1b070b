/// One bounded pass over what waits: forgotten sessions, fragments that are due, plans, and sessions past their time.
import Logging

extension SessionMemory {
    /// Batches that are archived side by side.
    private static var archivingWidth: Int { 4 }

    /// Call it at start and on a timer; safe beside turns and beside other processes' passes.
    /// - Returns: true where more waits, so that the next pass may follow soon.
    @discardableResult
    public func maintain(summarize: @escaping Summarizer) async -> Bool {
        let limit = configuration.maintenanceLimit
        var more = false
        do {
            let forgets = try await step { try await $0.pendingForgets(limit: limit) }
            var forgotten = 0
            for work in forgets where await finishForgetting(work) { forgotten += 1 }
            // What can't be finished now must not keep the caller coming back at once.
            more = forgets.count == limit && forgotten > 0
            let time = now()
            more = try await step { try await $0.planDueFragments(now: time, limit: limit) } == limit || more
            let expired = try await step { try await $0.expire(now: time, limit: limit) }
            state.withLock { $0.counters.expired += expired }
            more = expired == limit || more
            let plans = try await step { try await $0.pendingPlans(now: time, limit: limit) }
            if !plans.isEmpty {
                try await withDeadline(configuration.loadDeadline) { [index] in try await index.check() }
                more = await archive(plans, summarize: summarize) > 0 || more
            }
        } catch {
            logger.warning(
                "maintenance goes on later: a store does not answer", metadata: ["error": "\(error)"])
        }
        _ = await checkpointHealth()
        return more
    }

    /// What each tier answers, and what waits.
    public func health() async -> MemoryHealth {
        var health = await checkpointHealth()
        do {
            try await withDeadline(configuration.loadDeadline) { [index] in try await index.check() }
        } catch {
            health.index = .failing("\(error is DeadlineExceeded ? "no answer in time" : "\(error)")")
        }
        return health
    }

    /// How many were archived. Of each session only the first batch is among them.
    private func archive(_ plans: [ArchivePlan], summarize: @escaping Summarizer) async -> Int {
        await withTaskGroup(of: Bool.self) { group in
            var archived = 0
            for (number, plan) in plans.enumerated() {
                if number >= Self.archivingWidth, await group.next() == true { archived += 1 }
                group.addTask { await self.carryOut(plan, summarize: summarize) }
            }
            for await done in group where done { archived += 1 }
            return archived
        }
    }

    private func checkpointHealth() async -> MemoryHealth {
        do {
            let status = try await step { try await $0.status() }
            state.withLock { state in
                state.counters.plansPending = status.plansPending
                state.counters.plansParked = status.plansParked
                state.counters.forgetsPending = status.forgetsPending
            }
            return MemoryHealth(
                checkpoints: .ok, index: .ok, plansPending: status.plansPending,
                forgetsPending: status.forgetsPending, plansParked: status.plansParked, parked: status.parked,
                warnings: status.warnings)
        } catch {
            let reason = error is DeadlineExceeded ? "no answer in time" : "\(error)"
            return MemoryHealth(checkpoints: .failing(reason), index: .ok)
        }
    }

    private func step<Value: Sendable>(
        _ operation: @escaping @Sendable (any CheckpointStore) async throws -> Value
    ) async throws -> Value {
        try await withDeadline(configuration.loadDeadline) { [checkpoints] in try await operation(checkpoints)
        }
    }
}

/// Brings one pool to what its spec says: plans by what is known, carries the plan out, and writes the status last.
import Kubernetes
import Logging
import PoolAPI

/// One look at a pool at a time for each pool; safe to use for different pools at once.
struct Reconciler: Sendable {
    let client: KubernetesClient
    let cache: ClusterCache
    let desires: DesiredMemo
    let features: FeatureBoard
    let rollouts: Rollouts
    let loads: LoadPoller
    let events: EventRecorder
    let leadership: Leadership
    let limits: PurgeLimits
    let resyncInterval: Duration
    /// Makes other pools be looked at.
    let enqueue: @Sendable ([PoolReference]) -> Void
    let logger: Logger

    /// What came of a look at a pool.
    enum Outcome: Sendable {
        case settled
        /// To be looked at again after this time at the latest.
        case unsettled(Duration)
        /// Something stands in the way that somebody has to remove.
        case blocked
        /// Another attempt may succeed; not sooner than this, where the API server said so.
        case failed(atLeast: Duration)
        /// This process leads no more; nothing of it is to be done again here.
        case abandoned
    }

    func reconcile(_ key: PoolReference) async -> Outcome {
        cache.update { $0.beginResync(key, every: resyncInterval, .now) }
        guard let entry = cache[key], let pool = entry.pool else {
            desires.forget(key)
            enqueue(rollouts.observe(key, nil))
            return .settled
        }
        var logger = logger
        logger[metadataKey: "pool"] = "\(key)"
        do throws(APIError) {
            let features = features.current
            var observed = try await gather(key, entry, pool, features)
            if (entry.deployment?.ready ?? 0) > 0, !pool.isBeingDeleted { loads.follow(key) }
            var plan = plan(observed, .now, limits)
            if plan.needsManifests {
                read(&observed) { try desires.whole(pool, features) }
                plan = Controller.plan(observed, .now, limits)
            }
            logger.debug("planned", metadata: ["steps": "\(plan.steps.count)"])
            return try await execute(plan, observed, logger)
        } catch {
            if error.isNotLeading || error.isCancelled { return .abandoned }
            logger.warning("a look at a pool failed", metadata: ["error": "\(error)"])
            return .failed(atLeast: error.retryAfter ?? .zero)
        }
    }

    // MARK: Executing

    private func execute(_ plan: Plan, _ observed: Observed, _ logger: Logger) async throws(APIError)
        -> Outcome
    {
        var plan = plan
        let key = observed.key
        for note in plan.notes { await events.record(note, key, observed.pool.uid, under: leadership) }
        var deployment = observed.currentDeployment
        for step in plan.steps {
            do throws(APIError) {
                if let applied = try await carryOut(step, observed, logger) { deployment = applied }
            } catch {
                if case .apply(let child) = step, child.id.kind == .deployment {
                    rollouts.applied(key, generation: nil)
                }
                if error.isNamespaceTerminating {
                    return try await namespaceIsGoing(observed, logger)
                }
                guard let finding = Self.refusal(of: step, error) else { throw error }
                plan.findings.append(finding)
                plan.isToBeRetried = true
            }
        }
        cache.update { $0.setConflict(key, plan.findings.contains { $0.reason == .nameConflict }) }
        if plan.hasStatus { try await writeStatus(plan, observed, deployment) }
        if plan.isToBeRetried { return .blocked }
        return plan.lookAgain.map(Outcome.unsettled) ?? .settled
    }

    /// - Returns: The Deployment as an apply of it left it.
    private func carryOut(
        _ step: Step, _ observed: Observed, _ logger: Logger
    ) async throws(APIError) -> DeploymentRecord? {
        let namespace = observed.key.namespace
        logger.log(level: step.isRemarkable ? .info : .debug, "step", metadata: ["step": "\(step)"])
        switch step {
        case .apply(let child):
            guard let manifest = child.body else {
                preconditionFailure("a plan that needs manifests was made anew with them")
            }
            let answer = try await client.object(
                .apply(
                    child.id.kind.resource, child.id.name, in: namespace, manifest: manifest,
                    manager: PoolNames.fieldManager), under: leadership
            ) { try ObservedObject($0) }
            let record = ChildRecord(child.id.kind, answer.metadata, pool: observed.key.name)
            let known = cache.update { state in
                state.verified(observed.key, record, digest: child.digest)
                return state[observed.key]?.deployment
            }
            guard child.id.kind == .deployment else { return nil }
            rollouts.applied(observed.key, generation: answer.metadata.generation)
            if let known { enqueue(rollouts.observe(observed.key, known)) }
            return DeploymentRecord(answer)
        case .delete(let id, let uid, let propagation):
            do throws(APIError) {
                _ = try await client.bytes(
                    .delete(
                        id.kind.resource, id.name, in: namespace, uid: uid.text,
                        propagation: propagation == .foreground ? .foreground : .background),
                    under: leadership)
            } catch {
                // Gone, or another object by now, of which the watch will tell.
                if !error.isNotFound, !error.isConflict { throw error }
            }
        case .handOverReplicas(let id, let uid, let replicas):
            _ = try await client.bytes(
                Self.replicas(id, uid, namespace, ["spec": ["replicas": .integer(replicas)]]),
                under: leadership)
        case .releaseReplicas(let id, let uid):
            _ = try await client.bytes(Self.replicas(id, uid, namespace, [:]), under: leadership)
        case .setFinalizers(let finalizers):
            try await setFinalizers(finalizers, observed)
        }
        return nil
    }

    /// What the second manager says of a Deployment. With the uid, for an apply would make a Deployment where there is none.
    private static func replicas(
        _ id: ChildID, _ uid: ObjectUID, _ namespace: String, _ fields: [String: JSONValue]
    ) -> APIRequest {
        let manifest: JSONValue = .object(
            fields.merging([
                "apiVersion": .string(id.kind.resource.apiVersion), "kind": .string(id.kind.resource.kind),
                "metadata": [
                    "name": .string(id.name), "namespace": .string(namespace), "uid": .string(uid.text),
                ],
            ]) { $1 })
        return .apply(
            id.kind.resource, id.name, in: namespace, manifest: manifest.bytes(),
            manager: FieldManager.handover)
    }

    /// The whole list is written, so it must still be the one that was read.
    private func setFinalizers(_ finalizers: [String], _ observed: Observed) async throws(APIError) {
        let patch: JSONValue = [
            "metadata": [
                "uid": .string(observed.pool.uid.text),
                "resourceVersion": .string(observed.pool.resourceVersion),
                "finalizers": .array(finalizers.map(JSONValue.string)),
            ]
        ]
        do throws(APIError) {
            _ = try await client.bytes(
                .mergePatch(
                    .agentPools, observed.key.name, in: observed.key.namespace, patch: patch.bytes(),
                    manager: PoolNames.fieldManager), under: leadership)
        } catch {
            if !error.isNotFound { throw error }
        }
    }

    /// Nothing can be created in a namespace that goes; a pool that waits for its purge would keep the namespace for ever.
    private func namespaceIsGoing(_ observed: Observed, _ logger: Logger) async throws(APIError) -> Outcome {
        guard observed.isPurging else { return .settled }
        let end = givingUp(observed, "its namespace is being deleted")
        for note in end.notes {
            await events.record(note, observed.key, observed.pool.uid, under: leadership)
        }
        for step in end.steps { _ = try await carryOut(step, observed, logger) }
        return .settled
    }

    /// What the API server says against an object, where saying it again would not help.
    private static func refusal(of step: Step, _ error: APIError) -> Finding? {
        guard case .apply(let child) = step,
            error.isInvalid || error.isForbidden || error.isNotFound || error.status == 405
        else { return nil }
        let causes = error.causes.prefix(3).map {
            $0.field.isEmpty ? $0.message : "\($0.field): \($0.message)"
        }
        let words = causes.isEmpty ? error.message : causes.joined(separator: "; ")
        return Finding(.applyRefused, child.id.description, "the API server refuses it: \(words)")
    }

    // MARK: Status

    private func writeStatus(
        _ plan: Plan, _ observed: Observed, _ deployment: DeploymentRecord?
    ) async throws(APIError) {
        let input = StatusInput(
            name: observed.key.name, generation: observed.pool.generation, url: observed.desired?.url,
            deployment: deployment, findings: plan.findings, isHeldBack: plan.isHeldBack,
            isUnfinished: plan.isUnfinished, activeSessions: observed.activeSessions,
            previous: observed.pool.status)
        let status = input.status(.now)
        let record = StatusRecord(status)
        guard record.digest != observed.pool.status.digest else { return }
        let manifest: JSONValue = [
            "apiVersion": .string(AgentPool.apiVersion), "kind": .string(AgentPool.kind),
            "metadata": [
                "name": .string(observed.key.name), "namespace": .string(observed.key.namespace),
                "uid": .string(observed.pool.uid.text),
            ],
            "status": status.json,
        ]
        do throws(APIError) {
            let answer = try await client.object(
                .apply(
                    .agentPools, observed.key.name, in: observed.key.namespace, manifest: manifest.bytes(),
                    manager: PoolNames.fieldManager, subresource: "status"), under: leadership
            ) { try ObjectHeader($0) }
            cache.update {
                $0.wroteStatus(
                    observed.key, uid: observed.pool.uid,
                    resourceVersion: answer.metadata.resourceVersion, record)
            }
        } catch {
            // Gone meanwhile; the watch tells.
            if error.isNotFound { return }
            throw error
        }
        for note in input.news(status) {
            await events.record(note, observed.key, observed.pool.uid, under: leadership)
        }
    }
}

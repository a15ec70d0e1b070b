/// Gathers what a plan for one pool is made of: the caches, its spec, and what only the API server can say.
import Kubernetes
import PoolAPI

extension Reconciler {
    func gather(
        _ key: PoolReference, _ entry: ClusterState.Entry, _ pool: PoolRecord, _ features: ClusterFeatures
    ) async throws(APIError) -> Observed {
        var observed = Observed(
            key: key, pool: pool, children: entry.children, deployment: entry.deployment,
            replicaSets: entry.replicaSets, jobs: entry.jobs, activeSessions: loads.sessions(key))
        read(&observed) { try desires.desired(key, pool, features) }
        for id in observed.unknownChildren { observed.lookUps[id] = try await lookUp(id, key) }
        if observed.hasLeftovers { observed.isPoolConfirmed = try await isCurrent(pool, key) }
        if observed.isRollingByOperator {
            observed.mayRoll = rollouts.admit(key, rolling: cache.rolling)
        }
        if observed.isPurging, observed.desired?.purge != nil { observed.hasPods = try await hasPods(key) }
        return observed
    }

    /// What the pool asks for, or why that can't be read.
    func read(_ observed: inout Observed, _ desired: () throws -> Desired) {
        do { observed.desired = try desired() } catch {
            observed.desired = nil
            observed.problems = PoolFindings.of(error)
        }
    }

    private func lookUp(_ id: ChildID, _ key: PoolReference) async throws(APIError) -> Observed.LookUp {
        do throws(APIError) {
            let object = try await client.object(.get(id.kind.resource, id.name, in: key.namespace)) {
                try ObservedObject($0)
            }
            return .found(
                ChildRecord(id.kind, object.metadata, pool: key.name),
                id.kind == .deployment ? DeploymentRecord(object) : nil)
        } catch {
            if error.isNotFound { return .absent }
            throw error
        }
    }

    private func isCurrent(_ pool: PoolRecord, _ key: PoolReference) async throws(APIError) -> Bool {
        do throws(APIError) {
            let object = try await client.object(
                .get(.agentPools, key.name, in: key.namespace, metadataOnly: true)
            ) { try ObjectHeader($0) }
            return ObjectUID(object.metadata.uid) == pool.uid
        } catch {
            if error.isNotFound { return false }
            throw error
        }
    }

    private func hasPods(_ key: PoolReference) async throws(APIError) -> Bool {
        let page = try await client.page(
            .list(
                .pods, in: key.namespace, labels: PoolNames.podSelector(key.name), limit: 1,
                metadataOnly: true))
        return !page.items.isEmpty
    }
}

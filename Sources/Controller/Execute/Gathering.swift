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
        observed.lookUps = try await lookUps(observed.unknownChildren, key)
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

    /// All at once: a new pool has nine to wait for.
    private func lookUps(
        _ ids: [ChildID], _ key: PoolReference
    ) async throws(APIError) -> [ChildID: Observed.LookUp] {
        if ids.isEmpty { return [:] }
        let answers = await withTaskGroup(of: (ChildID, Result<Observed.LookUp, APIError>).self) { group in
            for id in ids {
                group.addTask {
                    do throws(APIError) { return (id, .success(try await lookUp(id, key))) } catch {
                        return (id, .failure(error))
                    }
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        var found: [ChildID: Observed.LookUp] = [:]
        for (id, answer) in answers { found[id] = try answer.get() }
        return found
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

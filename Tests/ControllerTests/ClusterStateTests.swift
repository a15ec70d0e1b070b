import Kubernetes
import PoolAPI
import Testing

@testable import Controller

@Suite struct ClusterStateTests {
    private let key = thePool
    private typealias Listing = WatchDelivery<ObservedObject>

    private let pools = ClusterState.Scope(source: .pools)
    private let services = ClusterState.Scope(source: .children(.service))
    private let deployments = ClusterState.Scope(source: .children(.deployment))
    private let sets = ClusterState.Scope(source: .replicaSets)

    private func pool(
        _ name: String = "support", uid: ObjectUID = poolUID, version: Int = 10, generation: Int = 1
    ) throws -> PoolObject {
        try PoolObject(
            JSONSlice(
                Array(
                    """
                    {"metadata": {"name": "\(name)", "namespace": "shop", "uid": "\(uid.text)",
                     "resourceVersion": "\(version)", "generation": \(generation), "managedFields": []},
                     "spec": {"agents": [ {"name": "a"} ]}, "status": {"observedGeneration": 1}}
                    """.utf8)))
    }

    private func object(
        _ name: String = "support", uid: ObjectUID = childUID, version: Int = 20, generation: Int = 1,
        owner: ObjectUID? = poolUID, pool: String = "support", replicas: Int? = nil,
        status: ObservedObject.Status = .init(), managers: [ManagedFieldsEntry] = [],
        digest: UInt64? = nil
    ) -> ObservedObject {
        ObservedObject(
            metadata: ObjectMeta(
                name: name, namespace: "shop", uid: uid.text, resourceVersion: "\(version)",
                generation: generation, labels: [PoolNames.poolLabel: pool],
                annotations: digest.map { [PoolNames.digestAnnotation: HexText.of($0)] } ?? [:],
                ownerReferences: owner.map {
                    [
                        OwnerReference(
                            apiVersion: AgentPool.apiVersion, kind: "AgentPool", name: pool, uid: $0.text)
                    ]
                } ?? [], managedFields: managers),
            spec: .init(replicas: replicas), status: status)
    }

    @Test("A pool's manifest is kept as it came, without what the server adds")
    func poolsManifestKept() throws {
        let record = try pool().record
        let text = String(decoding: record.manifest, as: UTF8.self)
        #expect(
            text == """
                {"apiVersion":"agentpool.dev/v1alpha1","kind":"AgentPool","metadata":{"name":"support",\
                "namespace":"shop"},"spec":{"agents": [ {"name": "a"} ]}}
                """)
        #expect(record.status.observedGeneration == 1)
    }

    @Test("A change of a pool or of what it owns is told, and a new version alone is not")
    func changePoolOr() throws {
        var state = ClusterState()
        #expect(state.take(.changed(try pool()), pools) == [key])
        #expect(state.take(.changed(try pool(version: 11)), pools) == [])
        #expect(state.take(.changed(try pool(version: 12, generation: 2)), pools) == [key])
        #expect(state.take(.changed(object()), services) == [key])
        #expect(state.take(.changed(object(version: 21)), services) == [])
        #expect(state.take(.changed(object(version: 22, digest: 5)), services) == [key])
        #expect(state[key]?.children.first?.digest == 5)
        #expect(state.take(.removed(object()), services) == [key])
        #expect(state[key]?.children.isEmpty == true)
    }

    @Test("An older word of a pool than our own write is passed over")
    func olderWordPool() throws {
        var state = ClusterState()
        _ = state.take(.changed(try pool(version: 10)), pools)
        let written = StatusRecord(AgentPoolStatus(observedGeneration: 1, replicas: 4))
        state.wroteStatus(key, uid: poolUID, resourceVersion: "15", written)
        #expect(state.take(.changed(try pool(version: 12, generation: 1)), pools) == [])
        #expect(state[key]?.pool?.status == written)
        state.wroteStatus(key, uid: otherUID, resourceVersion: "99", StatusRecord(AgentPoolStatus()))
        #expect(state[key]?.pool?.resourceVersion == "15")
    }

    @Test("What a listing doesn't name is gone, within its namespace only")
    func listingDoesntName() throws {
        var state = ClusterState()
        let shop = ClusterState.Scope(source: .children(.service), namespace: "shop")
        let bank = ClusterState.Scope(source: .children(.service), namespace: "bank")
        _ = state.take(.changed(object("a")), shop)
        _ = state.take(.changed(object("b")), shop)
        var far = object("c")
        far.metadata.namespace = "bank"
        _ = state.take(.changed(far), bank)
        #expect(state.take(Listing.listBegan, shop) == [])
        #expect(state.take(Listing.page([object("a")]), shop) == [])
        #expect(!state.hasListed([shop]))
        #expect(state.take(Listing.listEnded, shop) == [key])
        #expect(state.hasListed([shop]))
        #expect(state[key]?.children.map(\.id.name) == ["a"])
        #expect(state[PoolReference(namespace: "bank", name: "support")]?.children.count == 1)
    }

    @Test("A listing that was cut off and begins anew forgets nothing too much")
    func listingWasCut() throws {
        var state = ClusterState()
        _ = state.take(.changed(object("a")), services)
        _ = state.take(Listing.listBegan, services)
        _ = state.take(Listing.page([]), services)
        _ = state.take(Listing.listBegan, services)
        _ = state.take(Listing.page([object("a")]), services)
        #expect(state.take(Listing.listEnded, services) == [])
        #expect(state[key]?.children.count == 1)
    }

    @Test("Late word of a deletion does not take the object that came after")
    func lateWordDeletion() throws {
        var state = ClusterState()
        _ = state.take(.changed(object(uid: otherUID)), services)
        #expect(state.take(.removed(object(uid: childUID)), services) == [])
        #expect(state[key]?.children.count == 1)
        _ = state.take(.changed(try pool(uid: otherUID)), pools)
        #expect(state.take(.removed(try pool(uid: poolUID)), pools) == [])
        #expect(state[key]?.pool != nil)
    }

    @Test("The answer of an apply that comes after the object's deletion leaves nothing behind")
    func answerApplyComes() {
        var state = ClusterState()
        _ = state.take(.changed(object()), services)
        _ = state.take(.removed(object()), services)
        state.verified(key, ChildRecord(.service, object().metadata, pool: "support"), digest: 1)
        #expect(state[key] == nil)
    }

    @Test("An object whose label was changed stays with its owner")
    func objectWhoseLabel() {
        var state = ClusterState()
        var tampered = object()
        tampered.metadata.labels[PoolNames.poolLabel] = "else"
        #expect(state.take(.changed(tampered), services) == [key])
    }

    @Test("Pools in conflict are looked at again when another pool's object goes")
    func poolsInConflict() throws {
        var state = ClusterState()
        let other = PoolReference(namespace: "shop", name: "other")
        _ = state.take(.changed(object()), services)
        _ = state.take(.changed(try pool("other")), pools)
        state.setConflict(other, true)
        #expect(state.take(.removed(object()), services) == [key, other])
        state.setConflict(other, false)
        _ = state.take(.changed(object()), services)
        #expect(state.take(.removed(object()), services) == [key])
    }

    @Test("A Deployment that rolls is counted until it has rolled out or stalled")
    func deploymentRollsCounted() {
        var state = ClusterState()
        var status = ObservedObject.Status(
            observedGeneration: 1, replicas: 2, readyReplicas: 2, updatedReplicas: 2, availableReplicas: 2)
        _ = state.take(.changed(object(replicas: 2, status: status)), deployments)
        #expect(state.rolling.isEmpty)
        _ = state.take(.changed(object(generation: 2, replicas: 2, status: status)), deployments)
        #expect(state.rolling == [key])
        status.observedGeneration = 2
        status.updatedReplicas = 1
        status.conditions = [
            .init(type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message: "late")
        ]
        _ = state.take(.changed(object(generation: 2, replicas: 2, status: status)), deployments)
        #expect(state.rolling.isEmpty)
        #expect(state[key]?.deployment?.stalled == "late")
        status.conditions = []
        _ = state.take(.changed(object(generation: 2, replicas: 2, status: status)), deployments)
        #expect(state.rolling == [key])
        _ = state.take(.removed(object()), deployments)
        #expect(state.rolling.isEmpty)
        #expect(state[key] == nil)
    }

    @Test("ReplicaSets are told of by what they read and whether they have pods")
    func replicasetsToldBy() {
        var state = ClusterState()
        var set = object("support-1", owner: nil, replicas: 2)
        set.spec.config = "c1"
        #expect(state.take(.changed(set), sets) == [key])
        set.metadata.resourceVersion = "30"
        #expect(state.take(.changed(set), sets) == [])
        #expect(state[key]?.replicaSets.map(\.isInUse) == [true])
        set.spec.replicas = 0
        #expect(state.take(.changed(set), sets) == [key])
        #expect(state[key]?.replicaSets.map(\.isInUse) == [false])
        #expect(state.take(.removed(set), sets) == [key])
    }

    @Test("A kind that the cluster no longer serves is forgotten")
    func kindClusterNo() {
        var state = ClusterState()
        let scope = ClusterState.Scope(source: .children(.scaledObject))
        _ = state.take(.changed(object()), scope)
        _ = state.take(Listing.listEnded, scope)
        #expect(state.forget(.scaledObject) == [key])
        #expect(!state.hasListed([scope]))
        #expect(state[key] == nil)
    }

    @Test("A resync makes verified objects count as unverified, at its time")
    func resyncMakesVerified() {
        var state = ClusterState()
        let now = ContinuousClock.now
        state.beginResync(key, every: .seconds(10), now)
        let managers = [
            ManagedFieldsEntry(manager: "kubectl", operation: "Update", time: noon)
        ]
        _ = state.take(.changed(object(managers: managers, digest: 1)), services)
        state.beginResync(key, every: .seconds(10), now)
        state.verified(
            key, ChildRecord(.service, object(managers: managers).metadata, pool: "support"), digest: 1)
        #expect(state[key]?.children.first?.isAsApplied(1) == true)
        state.beginResync(key, every: .seconds(10), now + .seconds(9))
        #expect(state[key]?.children.first?.isAsApplied(1) == true)
        state.beginResync(key, every: .seconds(10), now + .seconds(10))
        #expect(state[key]?.children.first?.isAsApplied(1) == false)
    }
}

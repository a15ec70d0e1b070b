import Kubernetes
import PoolAPI
import Testing

@testable import Controller

@Suite struct PlanTests {
    @Test("A pool in order needs nothing")
    func poolInOrder() {
        #expect(plan(.fixture(), noon) == Plan())
    }

    @Test(
        "A new pool's children are applied in the order of their making, once their names are known to be free"
    )
    func newPoolsChildren() {
        var observed = Observed.fixture()
        observed.children = []
        observed.deployment = nil
        observed.replicaSets = []
        let ids = observed.desired?.children.map(\.id) ?? []
        #expect(observed.unknownChildren == ids)
        #expect(plan(observed, noon).steps.isEmpty)
        #expect(plan(observed, noon).isUnfinished)
        for id in ids { observed.lookUps[id] = .absent }
        #expect(observed.unknownChildren.isEmpty)
        #expect(plan(observed, noon).steps == (observed.desired?.children ?? []).map { .apply($0) })
        #expect(!plan(observed, noon).isUnfinished)
    }

    @Test("What no cache tells of and is the pool's own is taken as it is")
    func noCacheTells() {
        var observed = Observed.fixture()
        observed.children = []
        observed.deployment = nil
        for child in observed.desired?.children ?? [] {
            observed.lookUps[child.id] = .found(
                .fixture(child.id), child.id == .deployment ? .fixture() : nil)
        }
        #expect(plan(observed, noon) == Plan())
    }

    @Test(
        "Somebody else's object is a conflict and is left alone, and the rest is applied",
        arguments: [ChildRecord.Owner.none, .other])
    func somebodyElsesObject(
        owner: ChildRecord.Owner
    ) {
        var observed = Observed.fixture()
        observed.children.removeAll { $0.id == .service }
        observed.lookUps[.service] = .found(.fixture(.service, owner: owner), nil)
        observed.desired?.children[0].digest = 2
        let result = plan(observed, noon)
        #expect(result.steps == [.apply(.fixture(.serviceAccount, digest: 2))])
        #expect(result.findings.map(\.reason) == [.nameConflict])
        #expect(result.findings.first?.subject == "Service support")
        #expect(result.isToBeRetried)
    }

    @Test("Somebody else's Deployment says nothing about the pool's")
    func somebodyElsesDeployment() {
        var observed = Observed.fixture()
        #expect(observed.currentDeployment != nil)
        observed.children[3].owner = .none
        #expect(observed.currentDeployment == nil)
        observed.children.removeAll { $0.id == .deployment }
        observed.deployment = nil
        observed.lookUps[.deployment] = .found(.fixture(.deployment, owner: .other), .fixture())
        #expect(observed.currentDeployment == nil)
        observed.lookUps[.deployment] = .found(.fixture(.deployment), .fixture())
        #expect(observed.currentDeployment != nil)
    }

    @Test("A changed manifest and a child that others wrote to are applied")
    func changedManifestChild() {
        var observed = Observed.fixture()
        observed.children[0].digest = 7
        observed.children[2].suspicion = 99
        #expect(
            plan(observed, noon).steps == [.apply(.fixture(.serviceAccount)), .apply(.fixture(.service))])
    }

    @Test("A child whose apply has answered is not applied again before the watch tells of it")
    func childWhoseApply() {
        var observed = Observed.fixture()
        observed.children[0].digest = 7
        var answer = observed.children[0]
        answer.resourceVersion = "21"
        observed.children[0].verify(answer, digest: 1)
        #expect(plan(observed, noon) == Plan())
    }

    @Test("Replicas that somebody changed by hand are set back")
    func replicasSomebodyChanged() {
        var observed = Observed.fixture()
        observed.deployment?.wanted = 5
        #expect(plan(observed, noon).steps == [.apply(.fixture(.deployment, replicas: 2))])
    }

    @Test("Replicas are handed over before the apply that leaves them to an autoscaler")
    func replicasHandedOver() {
        var observed = Observed.fixture()
        let wanted = DesiredChild.fixture(.deployment, digest: 2)
        observed.desired?.children[3] = wanted
        observed.desired?.children.append(.fixture(.autoscaler))
        observed.lookUps[.autoscaler] = .absent
        observed.deployment?.wanted = 6
        #expect(
            plan(observed, noon).steps == [
                .handOverReplicas(.deployment, childUID, replicas: 6), .apply(wanted),
                .apply(.fixture(.autoscaler)),
            ])
    }

    @Test("Replicas that an autoscaler set are left alone and not handed over again")
    func replicasAutoscalerSet() {
        var observed = Observed.fixture()
        observed.desired?.children[3] = .fixture(.deployment, digest: 2)
        observed.deployment = .fixture(wanted: 6, leavesReplicas: true)
        #expect(plan(observed, noon).steps == [.apply(.fixture(.deployment, digest: 2))])
        observed.children[3].digest = 2
        #expect(plan(observed, noon) == Plan())
    }

    @Test("An autoscaler that is not wanted goes first, and the second manager gives the replicas back")
    func autoscalerNotWanted() {
        var observed = Observed.fixture()
        observed.children.append(.fixture(.autoscaler))
        observed.children[3] = .fixture(.deployment, digest: 9, hasHandover: true)
        observed.deployment = .fixture(wanted: 6, leavesReplicas: true)
        #expect(
            plan(observed, noon).steps == [
                .delete(.autoscaler, childUID, .background), .apply(.fixture(.deployment, replicas: 2)),
                .releaseReplicas(.deployment, childUID),
            ])
    }

    @Test("One kind of autoscaler gives way to the other before that begins")
    func oneKindAutoscaler() {
        var observed = Observed.fixture()
        observed.desired?.children[3] = .fixture(.deployment)
        observed.desired?.children.append(.fixture(.scaledObject))
        observed.children.append(.fixture(.autoscaler))
        observed.deployment?.leavesReplicas = true
        observed.lookUps[.scaledObject] = .absent
        #expect(
            plan(observed, noon).steps == [
                .delete(.autoscaler, childUID, .background), .apply(.fixture(.scaledObject)),
            ])
    }

    @Test("What the spec no longer wants is deleted last, but no volume and nothing of others")
    func specNoLonger() {
        var observed = Observed.fixture()
        let ingress = ChildID(kind: .ingress, name: "support")
        observed.children += [
            .fixture(ingress), .fixture(.volume),
            .fixture(ChildID(kind: .service, name: "else"), owner: .other),
            .fixture(ChildID(kind: .service, name: "going"), isTerminating: true),
        ]
        observed.children[0].digest = 7
        #expect(
            plan(observed, noon).steps == [
                .apply(.fixture(.serviceAccount)), .delete(ingress, childUID, .background),
            ])
    }

    @Test("A volume that outlived its pool is taken up by its label, and only so")
    func volumeOutlivedIts() {
        var observed = Observed.fixture()
        observed.desired?.children.append(.fixture(.volume))
        observed.lookUps[.volume] = .found(.fixture(.volume, owner: .none), nil)
        #expect(plan(observed, noon).findings.map(\.reason) == [.nameConflict])
        observed.lookUps = [:]
        observed.children.append(.fixture(.volume, owner: .none))
        #expect(plan(observed, noon) == Plan())
    }

    // MARK: Configurations

    @Test("An old configuration stays while a ReplicaSet with pods reads it, and goes after")
    func oldConfigurationStays() {
        var observed = Observed.fixture()
        observed.children.append(.fixture(.oldConfig))
        observed.replicaSets.append(.fixture(config: ChildID.oldConfig.name, isInUse: true))
        #expect(plan(observed, noon).steps.isEmpty)
        observed.replicaSets[1].isInUse = false
        #expect(plan(observed, noon).steps == [.delete(.oldConfig, childUID, .background)])
        observed.replicaSets = []
        #expect(plan(observed, noon).steps == [.delete(.oldConfig, childUID, .background)])
    }

    @Test("A configuration that the Deployment names stays, also while its roll-out is held back")
    func configurationDeploymentNames() {
        var observed = Observed.fixture()
        observed.children.append(.fixture(.oldConfig))
        observed.children[3].digest = 9
        observed.replicaSets = []
        observed.deployment?.config = ChildID.oldConfig.name
        observed.mayRoll = false
        let result = plan(observed, noon)
        #expect(result.steps.isEmpty)
        #expect(result.isHeldBack)
    }

    @Test("No configuration goes before the Deployment controller has seen the newest template")
    func noConfigurationGoes() {
        var observed = Observed.fixture()
        observed.children.append(.fixture(.oldConfig))
        observed.deployment = .fixture(generation: 3, observedGeneration: 2)
        observed.children[3].generation = 3
        #expect(plan(observed, noon).steps.isEmpty)
        observed.deployment?.observedGeneration = 3
        #expect(plan(observed, noon).steps == [.delete(.oldConfig, childUID, .background)])
    }

    // MARK: Roll-outs

    @Test("Only a roll-out that the spec did not ask for waits for others")
    func onlyRollOut() {
        var observed = Observed.fixture()
        observed.children[3].digest = 9
        #expect(observed.isRollingByOperator)
        observed.mayRoll = false
        #expect(plan(observed, noon).steps.isEmpty)
        observed.pool.generation = 2
        #expect(!observed.isRollingByOperator)
        #expect(plan(observed, noon).steps == [.apply(.fixture(.deployment, replicas: 2))])
    }

    @Test("A Deployment that becomes Recreate amid a roll-out is made anew, for it would stand still")
    func deploymentBecomesRecreate() {
        var observed = Observed.fixture()
        observed.desired?.children[3] = .fixture(.deployment, digest: 2, replicas: 1, isRecreating: true)
        observed.deployment = .fixture(wanted: 3, replicas: 4, updated: 1)
        observed.replicaSets.append(.fixture(config: ChildID.oldConfig.name, isInUse: true))
        let result = plan(observed, noon)
        #expect(result.steps == [.delete(.deployment, childUID, .foreground)])
        #expect(result.isUnfinished)
        observed.deployment = .fixture()
        #expect(
            plan(observed, noon).steps
                == [.apply(.fixture(.deployment, digest: 2, replicas: 1, isRecreating: true))])
    }

    @Test("A child that is going is waited for")
    func childGoingWaited() {
        var observed = Observed.fixture()
        observed.children[3].isTerminating = true
        observed.children[3].digest = 9
        let result = plan(observed, noon)
        #expect(result.steps.isEmpty)
        #expect(result.isUnfinished)
        #expect(result.lookAgain != nil)
    }

    @Test("A roll-out that makes no progress is told")
    func rollOutMakes() {
        var observed = Observed.fixture()
        observed.deployment = .fixture(updated: 1, stalled: "timed out")
        let result = plan(observed, noon)
        #expect(result.findings.map(\.reason) == [.rolloutStalled])
        #expect(!result.isToBeRetried)
    }

    // MARK: Specs and owners

    @Test("A spec that can't be read changes nothing of what serves")
    func specCantBe() {
        var observed = Observed.fixture()
        observed.desired = nil
        observed.problems = [Finding(.invalidSpec, "spec.agents", "is empty; add an agent")]
        let result = plan(observed, noon)
        #expect(result.steps.isEmpty)
        #expect(result.findings == observed.problems)
        #expect(result.hasStatus)
    }

    @Test("What an earlier pool of the name left goes, once the API server confirms that this one is current")
    func earlierPoolName() {
        var observed = Observed.fixture()
        observed.children[2].owner = .pool(otherUID)
        #expect(observed.hasLeftovers)
        var result = plan(observed, noon)
        #expect(result.steps.isEmpty)
        #expect(result.isUnfinished)
        observed.isPoolConfirmed = true
        result = plan(observed, noon)
        #expect(result.steps == [.delete(.service, childUID, .background)])
    }

    @Test("The finalizer comes and goes with the reclaim policy, beside those of others")
    func finalizerComesGoes() {
        var observed = Observed.fixture()
        observed.pool.finalizers = ["example.com/other"]
        observed.desired?.isPurged = true
        #expect(
            plan(observed, noon).steps == [
                .setFinalizers(["example.com/other", PoolNames.purgeFinalizer])
            ])
        observed.pool.finalizers = [PoolNames.purgeFinalizer, "example.com/other"]
        #expect(plan(observed, noon) == Plan())
        observed.desired?.isPurged = false
        #expect(plan(observed, noon).steps == [.setFinalizers(["example.com/other"])])
    }

    @Test("A pool that is being deleted is left to the garbage collector")
    func poolBeingDeleted() {
        var observed = Observed.fixture()
        observed.pool.deletedAt = noon
        observed.children = []
        #expect(observed.unknownChildren.isEmpty)
        #expect(plan(observed, noon) == Plan(hasStatus: false))
    }
}

import Kubernetes
import PoolAPI
import Testing

@testable import Controller

/// What is done for each pool of Tests/Golden/pools when it is new, in order, changed and deleted, as text under Tests/Golden/plans.
@Suite struct PlanGoldenTests {
    @Test("The plans for a pool are as its golden file says", arguments: PoolFixtures.names)
    func goldenPlans(name: String) throws {
        var context = try PoolFixtures.context(name)
        let desired = try Desired(context)
        context.pool.spec = try PoolFixtures.context(spec: "replicas: 1").pool.spec
        let plain = try Desired(context)
        var text = ""
        func tell(_ title: String, _ observed: Observed) {
            text += "# \(title)\n\(words(plan(observed, noon)))\n"
        }
        tell("a new pool", new(desired))
        tell("applied, and nothing has changed", applied(desired, over: desired))
        tell("the spec was a plain one before", applied(desired, over: plain))
        tell("the spec becomes a plain one", applied(plain, over: desired))
        tell("a new version of the operator while other pools roll", held(desired))
        tell("one field of the Deployment was changed by somebody", drifted(desired))
        tell("deleted while pods run", deleted(desired, hasPods: true))
        tell("deleted, and the pods are gone", deleted(desired, hasPods: false))
        try PoolFixtures.expect(text, equals: "Tests/Golden/plans/\(name).txt")
    }

    private func words(_ plan: Plan) -> String {
        var lines = plan.steps.map(\.description)
        lines += plan.findings.map {
            "say \($0.reason.rawValue) of \($0.subject.isEmpty ? "the pool" : $0.subject)"
        }
        lines += plan.notes.map { "tell \($0.reason): \($0.text)" }
        if plan.isHeldBack { lines.append("held back") }
        if plan.isUnfinished { lines.append("unfinished") }
        if plan.isToBeRetried { lines.append("to be retried") }
        if let pause = plan.lookAgain { lines.append("look again after \(pause)") }
        if !plan.hasStatus { lines.append("no status") }
        return lines.isEmpty ? "nothing\n" : lines.map { "\($0)\n" }.joined()
    }

    private func new(_ desired: Desired) -> Observed {
        var observed = Observed(key: thePool, pool: .fixture(), desired: desired)
        for child in desired.children { observed.lookUps[child.id] = .absent }
        return observed
    }

    /// The pool's children are those of `known`, as an apply of them left them, and its Deployment has rolled out.
    private func applied(_ desired: Desired, over known: Desired) -> Observed {
        var observed = new(desired)
        observed.pool = .fixture(
            finalizers: known.isPurged ? [PoolNames.purgeFinalizer] : [], observedGeneration: 1)
        observed.children = known.children.map { .fixture($0.id, digest: $0.digest) }
        for child in observed.children { observed.lookUps[child.id] = nil }
        if let deployment = known.children.first(where: { $0.id.kind == .deployment }) {
            let pods = deployment.replicas ?? 3
            let config = known.children.first { $0.id.kind == .configMap }?.id.name
            observed.deployment = .fixture(
                wanted: pods, replicas: pods, ready: pods, updated: pods, config: config,
                leavesReplicas: deployment.replicas == nil, isRecreating: deployment.isRecreating)
            observed.deployment?.name = deployment.id.name
            observed.replicaSets = [.fixture(config: config ?? "", isInUse: true)]
        }
        return observed
    }

    private func held(_ desired: Desired) -> Observed {
        var observed = applied(desired, over: desired)
        for index in observed.children.indices where observed.children[index].id.kind == .deployment {
            observed.children[index].digest = 0
        }
        observed.mayRoll = false
        return observed
    }

    private func drifted(_ desired: Desired) -> Observed {
        var observed = applied(desired, over: desired)
        for index in observed.children.indices where observed.children[index].id.kind == .deployment {
            observed.children[index].suspicion = 99
        }
        return observed
    }

    private func deleted(_ desired: Desired, hasPods: Bool) -> Observed {
        var observed = applied(desired, over: desired)
        observed.pool = .fixture(finalizers: observed.pool.finalizers, deletedAt: noon, observedGeneration: 1)
        observed.hasPods = hasPods
        if !hasPods {
            observed.children.removeAll { $0.id.kind == .deployment || $0.id.kind.isAutoscaler }
            observed.deployment = nil
        }
        return observed
    }
}

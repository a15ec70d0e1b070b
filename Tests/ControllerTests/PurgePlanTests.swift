import Kubernetes
import PoolAPI
import Testing

@testable import Controller

@Suite struct PurgePlanTests {
    private let limits = PurgeLimits(pods: .seconds(600), job: .seconds(300), lookAgain: .seconds(2))

    private var observed: Observed {
        var observed = Observed.fixture()
        observed.pool = .fixture(finalizers: ["a/b", PoolNames.purgeFinalizer], deletedAt: noon)
        observed.desired?.isPurged = true
        observed.desired?.purge = .fixture(.purge)
        observed.desired?.drain = .seconds(60)
        observed.hasPods = true
        return observed
    }

    private func after(_ seconds: Int64) -> Timestamp {
        Timestamp(microseconds: noon.microseconds + seconds * 1_000_000)
    }

    @Test("First the autoscaler and the Deployment go")
    func firstAutoscalerDeployment() {
        var observed = observed
        observed.children.append(.fixture(.autoscaler))
        let result = plan(observed, noon, limits)
        #expect(
            result.steps == [
                .delete(.autoscaler, childUID, .background), .delete(.deployment, childUID, .background),
            ])
        #expect(result.lookAgain == .seconds(2))
        #expect(!result.hasStatus)
    }

    @Test("Pods are waited for, and the Job comes after them")
    func podsWaitedFor() {
        var observed = observed
        observed.children.removeAll { $0.id == .deployment }
        #expect(plan(observed, noon, limits).steps.isEmpty)
        observed.hasPods = false
        #expect(plan(observed, noon, limits).steps == [.apply(.fixture(.purge))])
    }

    @Test("A Deployment that is still going is waited for like its pods")
    func deploymentStillGoing() {
        var observed = observed
        observed.children[3].isTerminating = true
        observed.hasPods = false
        #expect(plan(observed, noon, limits).steps.isEmpty)
    }

    @Test("Pods that do not end within their drain and ten minutes end the wait, not the pool")
    func podsDoNot() {
        var observed = observed
        observed.children.removeAll { $0.id == .deployment }
        #expect(plan(observed, after(659), limits).notes.isEmpty)
        let result = plan(observed, after(661), limits)
        #expect(result.steps == [.setFinalizers(["a/b"])])
        #expect(result.notes.map(\.reason) == ["PurgeAbandoned"])
    }

    @Test("A complete Job lets the pool go")
    func completeJobLets() {
        var observed = observed
        observed.children.append(.fixture(.purge))
        observed.jobs = [.fixture(.running)]
        #expect(plan(observed, noon, limits).steps.isEmpty)
        observed.jobs = [.fixture(.complete)]
        let result = plan(observed, noon, limits)
        #expect(result.steps == [.setFinalizers(["a/b"])])
        #expect(result.notes == [EventNote(.normal, "Purged", "The pool's memory has been forgotten.")])
    }

    @Test("A Job that fails or takes too long lets the pool go, and an Event says so")
    func jobFailsOr() {
        var observed = observed
        observed.children.append(.fixture(.purge))
        observed.jobs = [.fixture(.failed("DeadlineExceeded"))]
        var result = plan(observed, noon, limits)
        #expect(result.steps == [.setFinalizers(["a/b"])])
        #expect(result.notes.first?.text.contains("DeadlineExceeded") == true)
        observed.jobs = [.fixture(.running)]
        #expect(plan(observed, after(959), limits).steps.isEmpty)
        result = plan(observed, after(961), limits)
        #expect(result.steps == [.setFinalizers(["a/b"])])
        #expect(result.notes.map(\.kind) == [.warning])
    }

    @Test("An earlier pool's Job is not taken for this one's")
    func earlierPoolsJob() {
        var observed = observed
        observed.children.removeAll { $0.id == .deployment }
        observed.hasPods = false
        observed.children.append(.fixture(.purge, owner: .pool(otherUID)))
        observed.jobs = [.fixture(.complete)]
        #expect(plan(observed, noon, limits).steps == [.delete(.purge, childUID, .background)])
    }

    @Test(
        "Embedded memory needs no Job, and a spec that can't be read or a deletion in the foreground none either"
    )
    func embeddedMemoryNeeds() {
        var embedded = observed
        embedded.desired?.purge = nil
        #expect(plan(embedded, noon, limits).steps == [.setFinalizers(["a/b"])])
        #expect(plan(embedded, noon, limits).notes.isEmpty)
        var unreadable = observed
        unreadable.desired = nil
        #expect(plan(unreadable, noon, limits).steps == [.setFinalizers(["a/b"])])
        #expect(plan(unreadable, noon, limits).notes.map(\.reason) == ["PurgeAbandoned"])
        var foreground = observed
        foreground.pool.finalizers.append("foregroundDeletion")
        #expect(plan(foreground, noon, limits).steps == [.setFinalizers(["a/b", "foregroundDeletion"])])
    }
}

import Kubernetes
import PoolAPI
import Testing

@testable import Controller

@Suite struct PoolStatusTests {
    private var input: StatusInput {
        StatusInput(
            name: "support", generation: 3, url: "http://support.shop.svc", deployment: .fixture(),
            findings: [], isHeldBack: false, isUnfinished: false, activeSessions: 7,
            previous: StatusRecord(AgentPoolStatus()))
    }

    private func summary(_ status: AgentPoolStatus) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: (status.conditions ?? []).map { ($0.type, "\($0.status) \($0.reason)") })
    }

    @Test("A pool in order is ready, and says how large it is and where")
    func poolInOrder() {
        let status = input.status(noon)
        #expect(
            summary(status) == [
                "Ready": "True Ready", "Reconciling": "False UpToDate", "Stalled": "False NotStalled",
                "Available": "True PodsAvailable", "Degraded": "False AsExpected",
            ])
        #expect(status.observedGeneration == 3)
        #expect(status.conditions?.allSatisfy { $0.observedGeneration == 3 } == true)
        #expect(status.replicas == 2)
        #expect(status.readyReplicas == 2)
        #expect(status.updatedReplicas == 2)
        #expect(status.selector == "agentpool.dev/pool=support")
        #expect(status.url == "http://support.shop.svc")
        #expect(status.activeSessions == 7)
    }

    @Test("What a pool may be in has stable words")
    func poolMayBe() {
        var cases: [(String, StatusInput, [String: String])] = []
        var input = input
        input.deployment = nil
        cases.append(
            (
                "new", input,
                [
                    "Ready": "False Applying", "Reconciling": "True Applying",
                    "Available": "False NoDeployment",
                ]
            ))
        input.deployment = .fixture(observedGeneration: nil, replicas: 0, ready: 0, updated: 0)
        cases.append(
            (
                "starting", input,
                [
                    "Ready": "False RollingOut", "Reconciling": "True RollingOut",
                    "Available": "False NoPodAvailable", "Degraded": "False AsExpected",
                ]
            ))
        input.deployment = .fixture(ready: 1)
        cases.append(
            ("a pod fails", input, ["Ready": "True Ready", "Degraded": "True PodsNotReady"]))
        input.deployment = .fixture(ready: 0)
        cases.append(
            ("all pods fail", input, ["Ready": "False NoPodAvailable", "Degraded": "True PodsNotReady"]))
        input.deployment = .fixture(updated: 1, stalled: "timed out")
        input.findings = [Finding(.rolloutStalled, "Deployment support", "timed out")]
        cases.append(
            (
                "stuck", input,
                [
                    "Ready": "False ProgressDeadlineExceeded", "Stalled": "True ProgressDeadlineExceeded",
                    "Reconciling": "False Stalled", "Available": "True PodsAvailable",
                ]
            ))
        input.deployment = .fixture()
        input.findings = [Finding(.invalidSpec, "spec.agents", "is empty; add an agent")]
        cases.append(
            (
                "invalid", input,
                [
                    "Ready": "False InvalidSpec", "Stalled": "True InvalidSpec",
                    "Reconciling": "False Stalled", "Available": "True PodsAvailable",
                ]
            ))
        input.findings = [Finding(.nameConflict, "Service support", "exists")]
        cases.append(
            (
                "conflict", input,
                ["Stalled": "True NameConflict", "NameConflict": "True NameConflict"]
            ))
        input.findings = [
            Finding(.affinityUnavailable, "", "no affinity"), Finding(.ephemeral, "spec.memory", "goes"),
        ]
        cases.append(
            (
                "limited", input,
                [
                    "Ready": "True Ready", "Degraded": "True AffinityUnavailable",
                    "AffinityUnavailable": "True AffinityUnavailable",
                    "Ephemeral": "True EmbeddedWithoutVolume",
                ]
            ))
        input.findings = []
        input.isHeldBack = true
        cases.append(("held back", input, ["Reconciling": "True WaitingForOtherPools"]))
        for (name, input, expected) in cases {
            let found = summary(input.status(noon))
            for (type, words) in expected { #expect(found[type] == words, "\(name): \(type)") }
        }
    }

    @Test("A condition keeps its time until its status changes, and an equal status is known as equal")
    func conditionKeepsIts() {
        var input = input
        let first = input.status(noon)
        input.previous = StatusRecord(first)
        let later = Timestamp(microseconds: noon.microseconds + 60_000_000)
        #expect(StatusRecord(input.status(later)).digest == input.previous.digest)
        input.deployment = .fixture(observedGeneration: 1, ready: 0)
        let second = input.status(later)
        let times = Dictionary(
            uniqueKeysWithValues: (second.conditions ?? []).map { ($0.type, $0.lastTransitionTime) })
        #expect(times["Ready"] == later.inSeconds)
        #expect(times["Available"] == later.inSeconds)
        #expect(times["Stalled"] == noon.inSeconds)
        #expect(StatusRecord(second).digest != input.previous.digest)
    }

    @Test("A status is the same after a round through the API")
    func statusSameAfter() throws {
        var input = input
        input.findings = [Finding(.nameConflict, "Service support", "exists \"here\"\nand there")]
        let status = input.status(noon)
        let read = try JSONSlice(status.json.bytes()).decoded(as: AgentPoolStatus.self)
        #expect(read == status)
        #expect(StatusRecord(read) == StatusRecord(status))
    }

    @Test("News are told once")
    func newsToldOnce() {
        var input = input
        input.findings = [
            Finding(.invalidSpec, "spec.agents[0].model", "names no model; use one of: chat"),
            Finding(.ephemeral, "spec.memory", "goes with its pod"),
        ]
        let status = input.status(noon)
        #expect(
            input.news(status) == [
                EventNote(
                    .warning, "InvalidSpec", "spec.agents[0].model: names no model; use one of: chat"),
                EventNote(.warning, "Ephemeral", "spec.memory: goes with its pod"),
            ])
        input.previous = StatusRecord(status)
        #expect(input.news(status).isEmpty)
        input.findings[0].message = "names no model at all"
        #expect(input.news(input.status(noon)).map(\.reason) == ["InvalidSpec"])
        input.findings = []
        let ready = input.status(noon)
        #expect(input.news(ready).map(\.reason) == ["Ready"])
        input.previous = StatusRecord(ready)
        #expect(input.news(input.status(noon)).isEmpty)
    }

    @Test("Many findings are not all told in full")
    func manyFindingsNot() {
        var input = input
        input.findings = (0..<40).map { Finding(.invalidSpec, "spec.agents[\($0)].model", "is wrong") }
        let stalled = input.status(noon).conditions?.first { $0.type == "Stalled" }
        #expect(stalled?.message.hasSuffix("and 35 more") == true)
        #expect(input.news(input.status(noon)).count == 5)
    }
}

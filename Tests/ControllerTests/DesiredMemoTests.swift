import Kubernetes
import PoolAPI
import Testing

@testable import Controller

@Suite struct DesiredMemoTests {
    private let memo = DesiredMemo(settings: OperatorSettings(image: "agentpool:test"))

    private func pool(
        _ instructions: String = "Help.", uid: ObjectUID = poolUID, generation: Int = 1
    ) throws -> PoolRecord {
        try PoolObject(
            JSONSlice(
                Array(
                    """
                    {"metadata": {"name": "support", "namespace": "shop", "uid": "\(uid.text)",
                     "resourceVersion": "10", "generation": \(generation)},
                     "spec": {"agents": [{"name": "a", "instructions": "\(instructions)"}]}}
                    """.utf8))
        ).record
    }

    private func hasManifests(_ desired: Desired) -> Bool { desired.children.contains { $0.body != nil } }

    @Test("What is asked for again comes without manifests, and otherwise the same")
    func askedAgain() throws {
        let first = try memo.desired(thePool, pool(), ClusterFeatures())
        let again = try memo.desired(thePool, pool(), ClusterFeatures())
        #expect(first.children.allSatisfy { $0.body != nil })
        #expect(!hasManifests(again))
        #expect(again == first.withoutManifests)
        #expect(try memo.whole(pool(), ClusterFeatures()) == first)
    }

    @Test("A new generation, a pool of the same name, or another cluster's features are read anew")
    func readAnew() throws {
        let first = try memo.desired(thePool, pool(), ClusterFeatures())
        let second = try memo.desired(thePool, pool("Help more.", generation: 2), ClusterFeatures())
        #expect(hasManifests(second))
        #expect(second.withoutManifests != first.withoutManifests)
        let successor = try memo.desired(
            thePool, pool("Help more.", uid: otherUID, generation: 2), ClusterFeatures())
        #expect(hasManifests(successor))
        let keda = ClusterFeatures(hasKEDA: true)
        #expect(hasManifests(try memo.desired(thePool, pool(uid: otherUID, generation: 2), keda)))
        #expect(!hasManifests(try memo.desired(thePool, pool(uid: otherUID, generation: 2), keda)))
    }

    @Test("A pool that is forgotten is read anew")
    func forgotten() throws {
        _ = try memo.desired(thePool, pool(), ClusterFeatures())
        memo.forget(thePool)
        #expect(hasManifests(try memo.desired(thePool, pool(), ClusterFeatures())))
    }

    @Test("A plan says whether it sends a manifest that was left out")
    func needsManifests() throws {
        var observed = Observed.fixture()
        #expect(!plan(observed, noon).needsManifests)
        let whole = DesiredChild(id: .service, digest: 9, body: [])
        var light = whole
        light.body = nil
        observed.desired?.children.removeAll { $0.id == .service }
        observed.desired?.children.append(light)
        #expect(plan(observed, noon).needsManifests)
        observed.desired?.children.removeAll { $0.id == .service }
        observed.desired?.children.append(whole)
        #expect(!plan(observed, noon).needsManifests)
    }
}

import Kubernetes
import Testing

@testable import Controller

@Suite struct PoolLoadTests {
    private let start = ContinuousClock.now

    @Test("The number of sessions shown follows the true one without being written for each")
    func numberSessionsShown() {
        var count = SessionCount()
        #expect(count.observe(100, start) == true)
        #expect(count.observe(105, start + .seconds(90)) == false, "within a tenth")
        #expect(count.observe(120, start + .seconds(90)) == true)
        #expect(count.observe(300, start + .seconds(120)) == false, "too soon")
        #expect(count.observe(300, start + .seconds(151)) == true)
        #expect(count.observe(0, start + .seconds(152)) == true, "the last session is told at once")
        #expect(count.observe(1, start + .seconds(153)) == true, "and so is the first")
        #expect(count.shown == 1)
    }

    @Test("A pod's cost grows with its sessions in doubling steps")
    func podsCostGrows() {
        #expect([0, 1, 2, 3, 4, 7, 8, 1_000].map(DeletionCost.of) == [0, 1, 2, 2, 3, 3, 4, 10])
        #expect(DeletionCost.of(-5) == 0)
    }

    @Test("Only the pool's own pods get a cost, and only where it changes")
    func onlyPoolsOwn() {
        let load = PoolLoad(
            activeSessions: 20,
            pods: [
                .init(name: "a", activeSessions: 9), .init(name: "b", activeSessions: 2),
                .init(name: "stranger", activeSessions: 9),
            ])
        #expect(DeletionCost.changes(load, known: ["a": 0, "b": 2]) == ["a": 4])
        #expect(DeletionCost.changes(load, known: ["a": 0]) == [:], "one pod has nobody to give way to")
    }

    @Test("A pod that drains gets no cost, and is no reason to look at the pods")
    func podDrains() {
        var load = PoolLoad(
            activeSessions: 20,
            pods: [
                .init(name: "a", activeSessions: 9), .init(name: "b", activeSessions: 2),
                .init(name: "leaving", activeSessions: 9, isDraining: true),
            ])
        #expect(DeletionCost.changes(load, known: ["a": 4, "b": 0, "leaving": 2]) == ["b": 2])
        // Of those that the cluster deletes no cost is known.
        #expect(!DeletionCost.differs(load, from: ["a": 4, "b": 2]))
        load.pods[1].activeSessions = 0
        #expect(DeletionCost.differs(load, from: ["a": 4, "b": 2]))
        load.pods.removeFirst()
        #expect(!DeletionCost.differs(load, from: [:]), "one pod that stays has nobody to give way to")
    }

    @Test("The pods with the fewest sessions are the cheapest, and costs that nobody has looked at differ")
    func fewestSessions() {
        let sessions = ["a": 0, "b": 1, "c": 6, "d": 70]
        let load = PoolLoad(
            activeSessions: 77, pods: sessions.map { .init(name: $0.key, activeSessions: $0.value) })
        #expect(DeletionCost.differs(load, from: [:]))
        let known = ["a": 9, "b": 9, "c": 9, "d": 9]
        let costs = DeletionCost.changes(load, known: known)
        #expect(costs.sorted { $0.value < $1.value }.map(\.key) == ["a", "b", "c", "d"])
        #expect(!DeletionCost.differs(load, from: costs))
    }

    @Test("A load is read as workers write it, those of before too")
    func loadReadAs() throws {
        let text = """
            {"activeSessions": 3, "runningTurns": 1, "pendingRequests": 0, "pods": [
             {"name": "a", "activeSessions": 2, "runningTurns": 1, "pendingRequests": 0, "draining": true},
             {"name": "b", "activeSessions": 1, "runningTurns": 0, "pendingRequests": 0, "draining": false},
             {"name": "c", "activeSessions": 0, "runningTurns": 0, "pendingRequests": 0}]}
            """
        let load = try JSONSlice(Array(text.utf8)).decoded(as: PoolLoad.self)
        #expect(
            load
                == PoolLoad(
                    activeSessions: 3,
                    pods: [
                        .init(name: "a", activeSessions: 2, isDraining: true),
                        .init(name: "b", activeSessions: 1), .init(name: "c", activeSessions: 0),
                    ]))
    }
}

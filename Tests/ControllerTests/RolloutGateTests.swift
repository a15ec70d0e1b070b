import PoolAPI
import Testing

@testable import Controller

@Suite struct RolloutGateTests {
    private let start = ContinuousClock.now

    private func pool(_ number: Int) -> PoolReference { PoolReference(name: "pool-\(number)") }

    @Test("As many pools roll as may, and those that wait are told in their order")
    func asManyPools() {
        var gate = RolloutGate(limit: 2)
        #expect(gate.admit(pool(0), rolling: [], start) == true)
        #expect(gate.admit(pool(1), rolling: [], start) == true)
        #expect(gate.admit(pool(2), rolling: [], start) == false)
        #expect(gate.admit(pool(3), rolling: [], start) == false)
        #expect(gate.admit(pool(2), rolling: [], start) == false)
        #expect(gate.waitingCount == 2)
        gate.applied(pool(0), generation: 2)
        #expect(gate.rolledOut(pool(0), generation: 2) == [pool(2), pool(3)])
        #expect(gate.admit(pool(2), rolling: [], start) == true)
        #expect(gate.admit(pool(3), rolling: [], start) == false)
        #expect(gate.waitingCount == 1)
    }

    @Test("Pools that roll for any other reason count too, but not the one that asks")
    func poolsRollFor() {
        var gate = RolloutGate(limit: 2)
        #expect(gate.admit(pool(0), rolling: [pool(0), pool(1)], start) == true)
        #expect(gate.admit(pool(2), rolling: [pool(0), pool(1)], start) == false)
    }

    @Test("A Deployment as it was before its apply does not end its roll-out")
    func deploymentAsWas() {
        var gate = RolloutGate(limit: 1)
        #expect(gate.admit(pool(0), rolling: [], start) == true)
        #expect(gate.rolledOut(pool(0), generation: 1) == [])
        gate.applied(pool(0), generation: 2)
        #expect(gate.rolledOut(pool(0), generation: 1) == [])
        #expect(gate.admit(pool(1), rolling: [], start) == false)
        #expect(gate.rolledOut(pool(0), generation: 2) == [pool(1)])
    }

    @Test("A failed apply, a deleted pool and too long a roll-out free their place")
    func failedApplyDeleted() {
        var gate = RolloutGate(limit: 1, patience: .seconds(100))
        #expect(gate.admit(pool(0), rolling: [], start) == true)
        gate.applied(pool(0), generation: nil)
        #expect(gate.admit(pool(1), rolling: [], start) == true)
        #expect(gate.admit(pool(2), rolling: [], start) == false)
        #expect(gate.rolledOut(pool(1)) == [pool(2)])
        #expect(gate.admit(pool(2), rolling: [], start) == true)
        #expect(gate.admit(pool(3), rolling: [], start + .seconds(99)) == false)
        #expect(gate.admit(pool(3), rolling: [], start + .seconds(101)) == true)
    }

    @Test("Never more than the limit roll, and all of them in the end", arguments: 0..<10)
    func neverMoreThan(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var gate = RolloutGate(limit: 5)
        var waiting = Set(0..<40)
        var rolling: Set<Int> = []
        var asking = Array(0..<40)
        while !(waiting.isEmpty && rolling.isEmpty) {
            asking.shuffle(using: &random)
            for number in asking where waiting.contains(number) {
                guard gate.admit(pool(number), rolling: Set(rolling.map(pool)), start) else { continue }
                gate.applied(pool(number), generation: 2)
                waiting.remove(number)
                rolling.insert(number)
                #expect(rolling.count <= 5)
            }
            guard let done = rolling.randomElement(using: &random) else {
                Issue.record("nobody rolls and \(waiting.count) wait")
                return
            }
            rolling.remove(done)
            let told = gate.rolledOut(pool(done), generation: 2)
            asking = waiting.filter { told.contains(pool($0)) }
            #expect(!asking.isEmpty || waiting.isEmpty)
        }
    }
}

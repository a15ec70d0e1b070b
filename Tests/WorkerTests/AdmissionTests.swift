/// Who runs, who waits and who is refused.
import Testing

@testable import Worker

@Suite("Admission")
struct AdmissionTests {
    @Test("runs up to its limit, queues up to the next, refuses the rest")
    func limits() {
        var state = AdmissionState(maxRunning: 2, maxQueued: 1)
        check(state.enter(), .run)
        check(state.enter(), .run)
        check(state.enter(), .wait(ticket: 1))
        check(state.enter(), .refuseFull)
        check(state.leave(), 1)
        #expect(state.running == 2)
        check(state.leave(), nil)
        #expect(state.running == 1)
    }

    @Test("whoever leaves the queue is not called, and a called ticket can't leave it")
    func abandon() {
        var state = AdmissionState(maxRunning: 1, maxQueued: 2)
        _ = state.enter()
        _ = state.enter()
        _ = state.enter()
        check(state.abandon(ticket: 1), true)
        check(state.leave(), 2)
        check(state.abandon(ticket: 2), false)
    }

    @Test("draining refuses the waiting and the coming, and is over when the last one has left")
    func draining() {
        var state = AdmissionState(maxRunning: 1, maxQueued: 2)
        _ = state.enter()
        _ = state.enter()
        check(state.beginDraining(), [1])
        check(state.enter(), .refuseDraining)
        #expect(!state.isDrained)
        check(state.leave(), nil)
        #expect(state.isDrained)
    }

    @Test("many turns at once never exceed the limit, and every slot comes back")
    func stress() async throws {
        let admission = Admission(maxRunning: 4, maxQueued: 1000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<500 {
                group.addTask {
                    let slot: Admission.Slot
                    switch try admission.enterOrQueue() {
                    case .admitted(let admitted): slot = admitted
                    case .queued(let ticket): slot = try await admission.wait(ticket)
                    }
                    #expect(admission.counts.running <= 4)
                    await Task.yield()
                    slot.end()
                    if index.isMultiple(of: 3) { slot.end() }
                }
            }
            try await group.waitForAll()
        }
        #expect(admission.counts.running == 0)
        #expect(admission.counts.queued == 0)
    }

    @Test("a waiting turn that is cancelled leaves the queue")
    func cancelled() async throws {
        let admission = Admission(maxRunning: 1, maxQueued: 10)
        guard case .admitted(let slot) = try admission.enterOrQueue(),
            case .queued(let ticket) = try admission.enterOrQueue()
        else {
            Issue.record("expected one to run and one to wait")
            return
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await #expect(throws: ClientLeft.self) { _ = try await admission.wait(ticket) }
            }
            group.cancelAll()
        }
        #expect(admission.counts.queued == 0)
        slot.end()
        #expect(admission.counts.running == 0)
    }
}

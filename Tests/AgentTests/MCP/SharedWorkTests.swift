import Synchronization
import Testing

@testable import Agent

/// One does the work, the others wait for it.
@Suite struct SharedWorkTests {
    private final class Door: Sendable {
        private let state = Mutex<(isOpen: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

        func pass() async {
            await withCheckedContinuation { waiter in
                let isOpen = state.withLock { state in
                    if !state.isOpen { state.waiting.append(waiter) }
                    return state.isOpen
                }
                if isOpen { waiter.resume() }
            }
        }

        func open() {
            let waiting = state.withLock { state in
                state.isOpen = true
                defer { state.waiting = [] }
                return state.waiting
            }
            for waiter in waiting { waiter.resume() }
        }

    }

    private let work = SharedWork<Int>(server: .office)
    private let later = ContinuousClock.now + .seconds(300)

    private func outcome(
        until deadline: ContinuousClock.Instant, _ body: () async throws(MCPError) -> Int
    ) async -> Result<Int, MCPError> {
        do throws(MCPError) {
            return .success(try await work.run(until: deadline, body))
        } catch {
            return .failure(error)
        }
    }

    @Test("All who come while the work is done get its outcome, be it a failure", arguments: [true, false])
    func shared(succeeds: Bool) async {
        let door = Door()
        let begun = Door()
        let outcomes = await withTaskGroup(of: Result<Int, MCPError>.self) { group in
            group.addTask {
                await self.outcome(until: self.later) { () async throws(MCPError) -> Int in
                    begun.open()
                    await door.pass()
                    if succeeds { return 7 }
                    throw MCPError(.unavailable, "no")
                }
            }
            await begun.pass()
            for _ in 0..<20 {
                group.addTask {
                    await self.outcome(until: self.later) { () async throws(MCPError) -> Int in
                        if succeeds { return 7 }
                        throw MCPError(.unavailable, "no")
                    }
                }
            }
            // Whoever comes after the door opened does the work anew; none is left waiting either way.
            door.open()
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.count == 21)
        #expect(
            outcomes.allSatisfy { $0 == (succeeds ? .success(7) : .failure(MCPError(.unavailable, "no"))) })
    }

    @Test("Where the one who works gives up, the next takes over")
    func handedOver() async {
        let door = Door()
        let begun = Door()
        async let first = outcome(until: later) { () async throws(MCPError) -> Int in
            begun.open()
            await door.pass()
            throw .late(.office)
        }
        await begun.pass()
        async let second = outcome(until: later) { 2 }
        door.open()
        #expect(await first == .failure(.late(.office)))
        #expect(await second == .success(2))
    }

    @Test("Who waits does so no longer than its time, and not when it is cancelled")
    func waiting() async {
        let door = Door()
        let begun = Door()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                _ = await self.outcome(until: self.later) {
                    begun.open()
                    await door.pass()
                    return 1
                }
            }
            await begun.pass()
            let late = await self.outcome(until: .now + .milliseconds(20)) { 2 }
            #expect(late == .failure(.late(.office)))
            let cancelled = await withTaskGroup(of: Result<Int, MCPError>.self) { inner in
                inner.addTask { await self.outcome(until: self.later) { 3 } }
                inner.cancelAll()
                return await inner.next()
            }
            #expect(cancelled == .failure(.cancelled(.office)))
            door.open()
        }
        #expect(await outcome(until: later) { 4 } == .success(4))
    }
}

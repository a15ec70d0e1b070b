import Synchronization
import Testing

@testable import Controller

@Suite(.timeLimit(.minutes(2))) struct DispatcherTests {
    @Test func `what is added is worked on, and a cancelled run ends`() async {
        let dispatcher = Dispatcher(WorkQueue<Int>(workers: 4))
        let seen = Mutex<[Int]>([])
        let done = Nudge()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await dispatcher.run { key in
                    let count = seen.withLock {
                        $0.append(key)
                        return $0.count
                    }
                    if count == 100 { done.send() }
                    return .done
                }
            }
            dispatcher.add(0..<50)
            dispatcher.add(50..<100, after: .milliseconds(20))
            await done.wait()
            group.cancelAll()
        }
        #expect(seen.withLock { $0.sorted() } == Array(0..<100))
        #expect(dispatcher.snapshot().depth == 0)
        #expect(dispatcher.snapshot().running == 0)
    }

    @Test func `a nudge that comes before anybody waits is kept, and several count once`() async {
        let nudge = Nudge()
        nudge.send()
        nudge.send()
        await nudge.wait()
        await nudge.wait(until: .now + .milliseconds(1))
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await nudge.wait() }
            group.cancelAll()
        }
    }
}

import Synchronization
import Testing

@testable import Controller

@Suite(.timeLimit(.minutes(2))) struct DispatcherTests {
    @Test("What is added is worked on, and a cancelled run ends")
    func addedWorkedOn() async {
        let dispatcher = Dispatcher(WorkQueue<Int>(workers: 4))
        let seen = Seen()
        let done = Nudge()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await dispatcher.run { key in
                    let count = seen.add(key)
                    if count == 100 { done.send() }
                    return .done
                }
            }
            dispatcher.add(0..<50)
            dispatcher.add(50..<100, after: .milliseconds(20))
            await done.wait()
            group.cancelAll()
        }
        #expect(seen.all.sorted() == Array(0..<100))
        #expect(dispatcher.snapshot().depth == 0)
        #expect(dispatcher.snapshot().running == 0)
    }

    @Test("A nudge that comes before anybody waits is kept, and several count once")
    func nudgeComesBefore() async {
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

private final class Seen: Sendable {
    private let keys = Mutex<[Int]>([])

    var all: [Int] { keys.withLock { $0 } }

    /// - Returns: How many there are now.
    func add(_ key: Int) -> Int {
        keys.withLock { keys in
            keys.append(key)
            return keys.count
        }
    }
}

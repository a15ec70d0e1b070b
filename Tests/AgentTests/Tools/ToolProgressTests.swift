import Memory
import Testing

@testable import Agent

/// How running calls are told of: paced, bounded, and never after their result.
@Suite struct ToolProgressTests {
    private let start = ContinuousClock.now

    private func call(_ id: String) -> ToolCall { ToolCall(id: id, name: "weigh", arguments: "{}") }

    @Test("Reports are told four times a second at first, and less often the longer a call takes")
    func pace() {
        var pace = ProgressPace(begun: start)
        var told: [Int] = []
        for millisecond in stride(from: 0, to: 3_600_000, by: 50) {
            if pace.mayTell(at: start + .milliseconds(millisecond)) { told.append(millisecond) }
        }
        #expect(told.prefix(5) == [0, 250, 500, 750, 1000])
        #expect((100...200).contains(told.count))
    }

    @Test("Each call has its own pace, and the turn a bound")
    func bound() async {
        let progress = CallProgress(left: 3)
        for id in ["a", "b", "a"] {
            progress.report(ToolProgress(message: id), of: call(id), at: start)
        }
        #expect(progress.left == 1)
        progress.report(ToolProgress(message: "late"), of: call("a"), at: start + .seconds(1))
        progress.report(ToolProgress(message: "too many"), of: call("b"), at: start + .seconds(1))
        var messages: [String?] = []
        for _ in 0..<3 { messages.append(await progress.next()?.progress.message) }
        #expect(messages == ["a", "b", "late"])
        #expect(progress.left == 0)
    }

    @Test("Waiting for a report ends when the task is cancelled")
    func cancelled() async {
        let progress = CallProgress(left: 3)
        let isNil = await withTaskGroup(of: Bool.self) { group in
            group.addTask { await progress.next() == nil }
            group.cancelAll()
            return await group.next()
        }
        #expect(isNil == true)
    }
}

import Memory
import NIOCore
import Testing

@testable import Agent
@testable import Worker

/// What a native client is told of a running call.
@Suite struct NativeEventTests {
    @Test("Progress is an event with an id of its own, and says what the tool says")
    func progress() throws {
        var encoder = NativeEventEncoder(turn: try #require(TurnID("t")))
        let reports = [
            ToolProgress(progress: 1, total: 4, message: "a \"quarter\""), ToolProgress(progress: 2.5),
            ToolProgress(message: "nearly"),
        ]
        let events = reports.compactMap { encoder.encode(.toolProgress(id: "c", name: "weigh", $0)) }
        #expect(events.map(\.id.sequence) == [1, 2, 3])
        #expect(
            events.map { String(buffer: $0.bytes) } == [
                """
                event: tool.progress
                id: t.1.1
                data: {"id":"c","name":"weigh","progress":1.0,"total":4.0,"message":"a \\"quarter\\""}


                """,
                """
                event: tool.progress
                id: t.1.2
                data: {"id":"c","name":"weigh","progress":2.5}


                """,
                """
                event: tool.progress
                id: t.1.3
                data: {"id":"c","name":"weigh","message":"nearly"}


                """,
            ])
    }

    @Test("All reports that a turn may tell leave most of its session's log to what must not be lost")
    func room() throws {
        var encoder = NativeEventEncoder(turn: try #require(TurnID(String(repeating: "t", count: 64))))
        var log = EventLog()
        // Characters that JSON writes with six bytes each are no part of a line; two bytes are the most.
        let longest = String(repeating: "\\", count: 300)
        for _ in 0..<ProgressPace.maximumInTurn {
            let report = ToolProgress(progress: 123.456, total: 654.321, message: longest)
            let event = encoder.encode(.toolProgress(id: "call_123456789", name: "weigh", report))
            if let event { log.append(id: event.id, event.bytes) }
        }
        #expect(log.bytes < EventLog.maxBytes / 2)
        #expect(log.nextIndex == ProgressPace.maximumInTurn)
    }

    @Test("The stream of a response has no words for progress")
    func response() throws {
        var output = ResponseOutput(turn: try #require(TurnID("t")), serverLabel: "pool")
        _ = output.take(.toolCall(ToolCall(id: "c", name: "weigh", arguments: "{}")))
        #expect(output.take(.toolProgress(id: "c", name: "weigh", ToolProgress(progress: 1))).isEmpty)
        #expect(output.items.count == 1)
    }
}

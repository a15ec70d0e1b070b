import Testing

@testable import Transport

/// Single streams and what the standard makes of them.
@Suite struct ServerSentEventParserTests {
    private func parse(_ text: String, maxEventBytes: Int = 1000) throws -> [ServerSentEvent] {
        var parser = ServerSentEventParser(maxEventBytes: maxEventBytes)
        var events: [ServerSentEvent] = []
        try parser.feed(Array(text.utf8), into: &events)
        return events
    }

    @Test(
        "A stream's data comes out line by line and event by event",
        arguments: [
            ("data: a\n\n", ["a"]),
            ("data:a\n\ndata:  b\n\n", ["a", " b"]),
            ("data: a\ndata: b\n\n", ["a\nb"]),
            ("data\n\n", [""]),
            ("data:\ndata:\n\n", ["\n"]),
            ("data: a\r\rdata: b\r\n\r\n", ["a", "b"]),
            ("data: a\r\n\ndata: b\n\r\n", ["a", "b"]),
            ("\u{FEFF}data: a\n\n", ["a"]),
            ("\u{FEFF}\u{FEFF}data: a\n\n", []),
            (": comment\ndata: a\n:\n\n", ["a"]),
            ("\n\n\ndata: a\n\n\n\n", ["a"]),
            ("dat: a\ndatax: b\nDATA: c\n data: d\n\n", []),
            ("data: größe 😀\n\n", ["größe 😀"]),
            ("data: dropped", []),
            ("data: dropped\n", []),
            ("event: x\nid: 1\n\n", []),
            ("", []),
        ])
    func data(stream: String, expected: [String]) throws {
        #expect(try parse(stream).map(\.text) == expected)
    }

    @Test("An event's type is its own; without one, or with an empty one, it is a message")
    func types() throws {
        let events = try parse(
            "event: a\nevent: b\ndata: 1\n\ndata: 2\n\nevent:\ndata: 3\n\nevent: c\n\ndata: 4\n\n")
        #expect(events.map(\.event) == ["b", "message", "message", "message"])
    }

    @Test("An id stays until the next one; one with NUL is ignored, an empty one empties it")
    func ids() throws {
        let events = try parse("data\n\nid: 1\ndata\n\ndata\n\nid: a\0b\ndata\n\nid\ndata\n\n")
        #expect(events.map(\.id) == [nil, "1", "1", "1", ""])
    }

    @Test("An id counts for reconnecting once its block is over, with or without data")
    func lastEventID() throws {
        var parser = ServerSentEventParser()
        var events: [ServerSentEvent] = []
        try parser.feed(Array("id: 1\n\nid: 2\n".utf8), into: &events)
        #expect(parser.lastEventID == "1")
        try parser.feed(Array("\n".utf8), into: &events)
        #expect(parser.lastEventID == "2")
        #expect(events.isEmpty)
    }

    @Test("Only a number of ASCII digits that fits is a reconnection time")
    func retry() throws {
        let events = try parse(
            "retry: 10\ndata\n\nretry: 1a\ndata\n\nretry:\ndata\n\nretry: -1\ndata\n\nretry: 99999999999999999999\ndata\n\n"
        )
        #expect(events.map(\.retry) == [10, nil, nil, nil, nil])
        var parser = ServerSentEventParser()
        var none: [ServerSentEvent] = []
        try parser.feed(Array("retry: 25\n\n".utf8), into: &none)
        #expect(parser.reconnectionTime == 25)
    }

    @Test("An event over the bound fails the stream after the events before it, and for good")
    func bound() throws {
        var parser = ServerSentEventParser(maxEventBytes: 8)
        var events: [ServerSentEvent] = []
        let stream = Array("data: 1\n\ndata:1234\ndata:1234\n\n".utf8)
        #expect(throws: ServerSentEventError.eventTooLarge(limit: 8)) {
            var parser = ServerSentEventParser(maxEventBytes: 8)
            try parser.feed(stream, into: &events)
        }
        #expect(throws: ServerSentEventError.eventTooLarge(limit: 8)) {
            _ = try parse(": 0123456", maxEventBytes: 8)
        }
        #expect(throws: ServerSentEventError.eventTooLarge(limit: 8)) {
            _ = try parse(": 0123456\n", maxEventBytes: 8)
        }
        #expect(try parse("data:123\ndata:1234\n\n", maxEventBytes: 9).map(\.text) == ["123\n1234"])
        do { try parser.feed(stream, into: &events) } catch {}
        #expect(throws: ServerSentEventError.eventTooLarge(limit: 8)) { try parser.feed([], into: &events) }
        #expect(events.map(\.text) == ["1", "1"])
    }

    @Test("The end drops an unfinished event and says so")
    func finish() throws {
        var parser = ServerSentEventParser()
        var events: [ServerSentEvent] = []
        try parser.feed(Array("data: a\n\n".utf8), into: &events)
        let droppedNothing = !parser.finish()
        #expect(droppedNothing)
        try parser.feed(Array("data: a\n".utf8), into: &events)
        let dropped = parser.finish()
        #expect(dropped)
        #expect(events.count == 1)
    }
}

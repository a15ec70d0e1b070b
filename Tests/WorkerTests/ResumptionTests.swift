import NIOCore
import Testing

/// How a client that comes back gets the rest of its turn, and what is written down for that.
@testable import Memory
@testable import Worker

@Suite("A client that comes back")
struct ResumptionTests {
    private let turn = TurnID.mint()

    private func id(_ sequence: Int, attempt: Int = 1) -> EventID {
        EventID(turn: turn, attempt: attempt, sequence: sequence)
    }

    private func event(_ id: EventID) -> [UInt8] {
        Array("event: text.delta\nid: \(id.text)\ndata: {}\n\n".utf8)
    }

    private func log(
        owner: String? = "a", attempt: Int = 1, hasEnded: Bool = false, request: [UInt8]? = [1],
        events: [[UInt8]] = []
    ) -> LiveTurnLog {
        LiveTurnLog(
            session: LiveSession(owner: owner, turn: turn, attempt: attempt, hasEnded: hasEnded),
            request: request, events: events)
    }

    private func decide(
        _ log: LiveTurnLog, _ lease: PeerDirectory.Lease, after last: EventID, isReachable: Bool = true
    ) -> Resumption {
        Resumption.decide(after: last, log: log, lease: lease, own: "b", isReachable: isReachable)
    }

    @Test("names an event by turn, attempt and sequence, also where the turn's id has dots")
    func eventIDs() throws {
        let id = try #require(EventID("a.b.2.17"))
        #expect(id.turn.value == "a.b" && id.attempt == 2 && id.sequence == 17 && id.text == "a.b.2.17")
        for text in ["", "t", "t.1", "t.x.1", "t.1.x", ".1.1", "t.1."] { #expect(EventID(text) == nil) }
    }

    @Test("is relayed to the worker that has the session, as long as that can be reached")
    func relay() {
        #expect(decide(log(), .alive, after: id(3)) == .relay(to: "a"))
        #expect(decide(log(), .alive, after: id(3), isReachable: false) == .wait)
        #expect(decide(log(), .unknown, after: id(3)) == .wait)
    }

    @Test("has its turn run again once the lease of its worker has ended, and not before")
    func restart() {
        #expect(decide(log(), .ended, after: id(3)) == .restart(request: [1]))
        #expect(decide(log(owner: nil), .ended, after: id(3)) == .restart(request: [1]))
        #expect(decide(log(request: nil), .ended, after: id(3)) == .retell(attempt: 2))
    }

    @Test("is told what it missed of a turn that has ended, once, and all of it or nothing")
    func follow() throws {
        let pieces = [event(id(1)) + event(id(2)), event(id(2)), event(id(3)) + event(id(4))]
        let ended = log(hasEnded: true, request: nil, events: pieces)
        guard case .follow(let missed) = decide(ended, .ended, after: id(2)) else {
            Issue.record("the events are there")
            return
        }
        #expect(Array(missed.readableBytesView) == event(id(3)) + event(id(4)))
        #expect(decide(ended, .ended, after: id(4)) == .follow(missed: ByteBuffer()))
        // Its worker had told more than it could write down.
        #expect(decide(ended, .ended, after: id(9)) == .retell(attempt: 2))
        let own = log(owner: "b", hasEnded: true, events: pieces)
        #expect(decide(own, .alive, after: id(4)) == .follow(missed: ByteBuffer()))
    }

    @Test("is told a later attempt from its begin, for that voids what it has seen")
    func laterAttempt() {
        let pieces = [event(id(1)), event(id(1, attempt: 2)) + event(id(2, attempt: 2))]
        let ended = log(attempt: 2, hasEnded: true, events: pieces)
        #expect(
            decide(ended, .ended, after: id(7))
                == .follow(missed: ByteBuffer(bytes: event(id(1, attempt: 2)) + event(id(2, attempt: 2)))))
    }

    @Test("is told from the history where a newer turn has begun and the events are gone")
    func newerTurn() {
        let other = EventID(turn: .mint(), attempt: 1, sequence: 1)
        #expect(decide(log(hasEnded: false), .ended, after: other) == .retell(attempt: 2))
    }
}

@Suite("The journal of running turns")
struct JournalQueueTests {
    private let scope = Scope(principal: Principal(pool: "p", credential: "c", endUser: nil), sessionID: "s")
    private let turn = TurnID.mint()
    private let now = ContinuousClock.now

    private func events(_ text: String, ended: Bool = false) -> JournalQueue.Write {
        .events(Array(text.utf8), turn: turn, attempt: 1, hasEnded: ended)
    }

    private func start() -> JournalQueue.Write {
        .take(from: nil, turn: .init(id: turn, attempt: 1, request: [1, 2]))
    }

    private func text(_ write: JournalQueue.Write) -> String {
        switch write {
        case .take: "take"
        case .events(let bytes, _, _, let ended): String(decoding: bytes, as: UTF8.self) + (ended ? "|" : "")
        }
    }

    private func due(_ queue: inout JournalQueue, urgentOnly: Bool, at now: ContinuousClock.Instant)
        -> [String]
    {
        queue.due(urgentOnly: urgentOnly, now: now).map { text($0.1) }
    }

    @Test("writes begins and ends at once, and what lies between in one piece a round, in order")
    func order() {
        var queue = JournalQueue()
        check(queue.add(start(), of: scope), true)
        check(due(&queue, urgentOnly: true, at: now), ["take"])
        check(queue.add(events("a"), of: scope), false)
        check(queue.add(events("b"), of: scope), false)
        // One write of a session at a time.
        check(due(&queue, urgentOnly: false, at: now), [])
        check(queue.written(scope.session), false)
        check(due(&queue, urgentOnly: true, at: now), [])
        check(due(&queue, urgentOnly: false, at: now), ["ab"])
        check(queue.add(events("c", ended: true), of: scope), true)
        check(queue.written(scope.session), true)
        check(due(&queue, urgentOnly: true, at: now), ["c|"])
        check(queue.written(scope.session), false)
        #expect(queue.isEmpty)
    }

    @Test("keeps what could not be written for a later try, in its place, and no more than its bound")
    func failures() {
        var queue = JournalQueue()
        _ = queue.add(start(), of: scope)
        let first = queue.due(urgentOnly: true, now: now)[0].1
        _ = queue.add(events("a", ended: true), of: scope)
        queue.failed(scope.session, first, now: now)
        check(due(&queue, urgentOnly: true, at: now), [])
        let later = now + JournalQueue.retryPause
        check(due(&queue, urgentOnly: true, at: later), ["take"])
        check(queue.written(scope.session), true)
        check(due(&queue, urgentOnly: true, at: later), ["a|"])

        var full = JournalQueue()
        for round in 0..<40 {
            let bytes = [UInt8](repeating: 65, count: JournalQueue.maxBytes / 8)
            _ = full.add(.events(bytes, turn: turn, attempt: round, hasEnded: false), of: scope)
        }
        var left = 0
        while case let next = full.due(urgentOnly: false, now: now), !next.isEmpty {
            left += 1
            _ = full.written(scope.session)
        }
        #expect(left == 8)
    }
}

import Testing

@testable import Transport

/// The body's state machine by itself, with a word in the place of a waiting reader.
@Suite struct BodyBufferTests {
    private static let error = TransportError(.reset, "broken")

    private func buffer(_ chunks: String..., highMark: Int = 10) -> BodyBuffer<String> {
        var buffer = BodyBuffer<String>(highMark: highMark)
        for chunk in chunks { #expect(buffer.append(Array(chunk.utf8).span) == .accepted) }
        return buffer
    }

    private func describe(_ action: BodyBuffer<String>.WakeAction) -> String {
        switch action {
        case .none: "none"
        case .deliver(let reader, let bytes, let release):
            "\(reader) gets \(String(decoding: bytes, as: UTF8.self))\(release ? ", release" : "")"
        case .end(let reader): "\(reader) ends"
        case .fail(let reader, let error): "\(reader) fails: \(error)"
        }
    }

    private func describe(_ action: BodyBuffer<String>.ReadAction) -> String {
        switch action {
        case .deliver(let bytes, let release):
            "\(String(decoding: bytes, as: UTF8.self))\(release ? ", release" : "")"
        case .end: "end"
        case .fail(let error): "fails: \(error)"
        case .wait: "wait"
        }
    }

    @Test("A reader gets all that waits in one piece")
    func together() {
        var buffer = buffer("a", "b", "c")
        #expect(describe(buffer.take()) == "abc")
        #expect(describe(buffer.take()) == "wait")
    }

    @Test("A waiting reader is woken once, by the flush and not by the bytes")
    func wake() {
        var buffer = buffer()
        #expect(describe(buffer.read("reader")) == "wait")
        #expect(describe(buffer.flush()) == "none")
        #expect(buffer.append([97].span) == .accepted)
        #expect(buffer.append([98].span) == .accepted)
        #expect(describe(buffer.flush()) == "reader gets ab")
        #expect(describe(buffer.flush()) == "none")
    }

    @Test("At the high mark the sender is held back, and taking what waits lets it go once")
    func backPressure() {
        var buffer = buffer("0123456789")
        #expect(buffer.append([97].span) == .pause)
        #expect(buffer.append([97].span) == .pause)
        #expect(describe(buffer.take()) == "0123456789, release")
        #expect(buffer.append([97].span) == .accepted)
        #expect(describe(buffer.take()) == "a")
        #expect(buffer.peak == 10)
    }

    @Test("A chunk that begins under the high mark is taken whole")
    func overshoot() {
        var buffer = buffer("123456789", "0123456789")
        #expect(buffer.append([97].span) == .pause)
        #expect(describe(buffer.take()) == "1234567890123456789, release")
    }

    @Test("What arrived before the end, or before an error, is read before it")
    func ends() {
        var whole = buffer("ab")
        #expect(describe(whole.finish()) == "none")
        #expect(describe(whole.take()) == "ab")
        #expect(describe(whole.take()) == "end")
        #expect(describe(whole.take()) == "end")
        var broken = buffer("ab")
        #expect(describe(broken.fail(Self.error)) == "none")
        #expect(describe(broken.take()) == "ab")
        #expect(describe(broken.take()) == "fails: broken")
        #expect(broken.append([97].span) == .abandoned)
    }

    @Test("A waiting reader hears of the end and of an error")
    func wokenByEnd() {
        var whole = buffer()
        _ = whole.read("reader")
        #expect(describe(whole.finish()) == "reader ends")
        var broken = buffer()
        _ = broken.read("reader")
        #expect(describe(broken.fail(Self.error)) == "reader fails: broken")
    }

    @Test("The first of two ends counts")
    func firstEnd() {
        var buffer = buffer()
        _ = buffer.finish()
        _ = buffer.fail(Self.error)
        #expect(describe(buffer.take()) == "end")
    }

    @Test("An abandoned body drops what waits and takes nothing more")
    func abandon() {
        var buffer = buffer("ab")
        #expect(describe(buffer.abandon(Self.error)) == "none")
        #expect(buffer.waiting == 0)
        #expect(buffer.append([97].span) == .abandoned)
        #expect(describe(buffer.take()) == "fails: broken")
    }
}

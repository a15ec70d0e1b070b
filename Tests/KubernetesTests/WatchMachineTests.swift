import Testing

@testable import Kubernetes

/// How a kind of object is followed, decided without a server or a clock.
@Suite struct WatchMachineTests {
    private let start = ContinuousClock.now
    private let expired = APIError(status: 410, reason: "Expired", message: "")
    private let reset = APIError(status: 0, reason: APIError.Unanswered.noAnswer, message: "")
    private let unavailable = APIError(status: 503, reason: "ServiceUnavailable", message: "")

    private func watching() -> WatchMachine {
        var machine = WatchMachine()
        _ = machine.pageArrived(resourceVersion: "10", continuation: nil)
        machine.opened(at: start)
        return machine
    }

    @Test("A list is read to its last page and then watched from the moment it shows")
    func pages() {
        var machine = WatchMachine()
        #expect(machine.order == .list(continuation: nil, limit: 500))
        #expect(
            machine.pageArrived(resourceVersion: "10", continuation: "c1")
                == .init(isFirst: true, isLast: false))
        #expect(machine.order == .list(continuation: "c1", limit: 500))
        #expect(
            machine.pageArrived(resourceVersion: "10", continuation: "c2")
                == .init(isFirst: false, isLast: false))
        #expect(
            machine.pageArrived(resourceVersion: "10", continuation: nil)
                == .init(isFirst: false, isLast: true))
        #expect(machine.order == .watch(from: "10"))
    }

    @Test("A stream that ends or breaks off is resumed at once where it was, by objects and by bookmarks")
    func resuming() {
        var machine = watching()
        machine.advanced(to: "11")
        machine.streamEnded(at: start, chance: 0)
        #expect(machine.order == .watch(from: "11"))
        machine.opened(at: start)
        machine.advanced(to: "15")
        machine.failed(reset, chance: 0)
        #expect(machine.order == .watch(from: "15"))
        machine.opened(at: start)
        machine.streamEnded(at: start + .seconds(300), chance: 0)
        #expect(machine.order == .watch(from: "15"))
    }

    @Test(
        "A stream that told nothing and ended at once, or can't be opened, is resumed after pauses that grow")
    func pauses() {
        var machine = watching()
        var pauses: [Duration] = []
        for _ in 0..<9 {
            machine.opened(at: start)
            machine.streamEnded(at: start, chance: 1)
            guard case .wait(let pause) = machine.order else { return #expect(Bool(false), "no pause") }
            pauses.append(pause)
            machine.waited()
            #expect(machine.order == .watch(from: "10"))
        }
        #expect(pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30].map { .seconds($0) })
        machine.failed(reset, chance: 0)
        #expect(machine.order == .wait(.seconds(15)))
        machine.waited()
        machine.advanced(to: "11")
        machine.failed(unavailable, chance: 1)
        #expect(machine.order == .wait(.milliseconds(500)))
    }

    @Test(
        "A moment that the server has forgotten is listed anew at once, but not again and again without a pause"
    )
    func relisting() {
        var machine = watching()
        machine.advanced(to: "11")
        machine.failed(expired, chance: 0)
        #expect(machine.order == .list(continuation: nil, limit: 500))
        _ = machine.pageArrived(resourceVersion: "20", continuation: nil)
        #expect(machine.order == .watch(from: "20"))
        machine.failed(expired, chance: 1)
        #expect(machine.order == .wait(.milliseconds(500)))
        machine.waited()
        #expect(machine.order == .list(continuation: nil, limit: 500))
    }

    @Test("A list whose continuation is forgotten, or any page of which fails, begins anew after a pause")
    func brokenList() {
        for error in [expired, reset, unavailable] {
            var machine = WatchMachine()
            _ = machine.pageArrived(resourceVersion: "10", continuation: "c1")
            machine.failed(error, chance: 1)
            #expect(machine.order == .wait(.milliseconds(500)))
            machine.waited()
            #expect(machine.order == .list(continuation: nil, limit: 500))
            #expect(
                machine.pageArrived(resourceVersion: "11", continuation: nil)
                    == .init(isFirst: true, isLast: true))
        }
    }

    @Test("A server that asks for time gets it")
    func retryAfter() {
        var machine = watching()
        machine.failed(
            APIError(status: 429, reason: "TooManyRequests", message: "", retryAfter: .seconds(7)), chance: 0)
        #expect(machine.order == .wait(.seconds(7)))
        machine.waited()
        #expect(machine.order == .watch(from: "10"))
    }

    @Test("A server that keeps refusing a moment without calling it expired is asked for a list")
    func unknownVersion() {
        var machine = watching()
        for _ in 0..<2 {
            machine.failed(
                APIError(status: 504, reason: "Timeout", message: "Too large resource version"), chance: 0)
            machine.waited()
            #expect(machine.order == .watch(from: "10"))
        }
        machine.failed(
            APIError(status: 504, reason: "Timeout", message: "Too large resource version"), chance: 0)
        machine.waited()
        #expect(machine.order == .list(continuation: nil, limit: 500))
    }

    @Test("Pages that are too large for an answer become smaller")
    func smallerPages() {
        var machine = WatchMachine()
        machine.failed(APIError(status: 0, reason: APIError.Unanswered.tooLarge, message: ""), chance: 0)
        machine.waited()
        #expect(machine.order == .list(continuation: nil, limit: 250))
    }

    @Test("No order of inputs leads anywhere but to a list, a watch or a pause that is not too long")
    func anyInputs() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var machine = WatchMachine()
            for step in 0..<100 {
                let now = start + .seconds(step)
                switch Int.random(in: 0..<8, using: &generator) {
                case 0: _ = machine.pageArrived(resourceVersion: "1", continuation: Bool.random() ? "c" : nil)
                case 1: machine.opened(at: now)
                case 2: machine.advanced(to: Bool.random() ? "2" : "")
                case 3: machine.streamEnded(at: now, chance: 0.5)
                case 4: machine.failed(expired, chance: 0.5)
                case 5: machine.failed(reset, chance: 0.5)
                case 6: machine.failed(unavailable, chance: 0.5)
                default: machine.waited()
                }
                if case .wait(let pause) = machine.order { #expect(pause <= .seconds(30)) }
                if case .watch(let version) = machine.order { #expect(!version.isEmpty) }
            }
        }
    }

    @Test("Events come out line by line, however the bytes come in")
    func lines() {
        let text = Array("{\"a\":1}\n\n{\"b\":2}\n{\"cut".utf8)
        for size in 1...text.count {
            var cutter = LineCutter()
            var lines: [String] = []
            for start in stride(from: 0, to: text.count, by: size) {
                cutter.add(Array(text[start..<min(start + size, text.count)]))
                while let line = cutter.next() { lines.append(String(decoding: line, as: UTF8.self)) }
            }
            #expect(lines == ["{\"a\":1}", "{\"b\":2}"])
            #expect(!cutter.isOverlong)
        }
        var cutter = LineCutter()
        cutter.add([UInt8](repeating: 1, count: LineCutter.maxLineBytes + 1))
        #expect(cutter.next() == nil)
        #expect(cutter.isOverlong)
    }
}

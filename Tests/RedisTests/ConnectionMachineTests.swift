/// The connection's states, without a connection.
import NIOCore
import Testing

@testable import Redis

@Suite("A connection's states")
struct ConnectionMachineTests {
    typealias Machine = ConnectionMachine<String>

    static let limits = Machine.Limits(commands: 4, bytes: 100, overdue: .seconds(5))
    let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    func entry(_ names: String..., deadline: NIODeadline? = nil, bytes: Int = 1) -> Machine.Entry {
        Machine.Entry(
            bytes: ByteBuffer(repeating: 0x61, count: bytes),
            slots: names.map { Machine.Slot($0, deadline: deadline ?? start + .seconds(1)) })
    }

    func ready() -> Machine {
        var machine = Machine(limits: Self.limits)
        #expect(machine.start() == true)
        #expect(machine.connected(steps: 1, now: start) == .greet)
        guard case .ready = machine.received(.status("OK"), isAuthentication: false, now: start) else {
            Issue.record("not ready")
            return machine
        }
        return machine
    }

    func delivered(_ machine: inout Machine, _ value: RedisValue = .status("OK")) -> String? {
        if case .deliver(let name) = machine.received(value, isAuthentication: false, now: start) {
            return name
        }
        return nil
    }

    @Test("the first question connects, the next ones wait, and all leave together in order")
    func connectsOnDemand() {
        var machine = Machine(limits: Self.limits)
        #expect(machine.submit([entry("a")]) == .connect)
        #expect(machine.submit([entry("b")]) == .keep)
        #expect(machine.start() == false)
        _ = machine.connected(steps: 2, now: start)
        guard case .nothing = machine.received(.status("OK"), isAuthentication: true, now: start),
            case .ready = machine.received(.status("OK"), isAuthentication: true, now: start)
        else {
            Issue.record("not ready")
            return
        }
        #expect(machine.flush { _ in true }.count == 2)
        #expect(delivered(&machine) == "a")
        #expect(delivered(&machine) == "b")
        #expect(machine.commands == 0 && machine.bytes == 0)
    }

    @Test("questions that come before the flush share it")
    func coalesces() {
        var machine = ready()
        #expect(machine.submit([entry("a")]) == .flush)
        #expect(machine.submit([entry("b")]) == .keep)
        #expect(machine.flush { _ in true }.count == 2)
        #expect(machine.submit([entry("c")]) == .flush)
    }

    @Test("what nobody wants any more isn't written")
    func dropsUnwanted() {
        var machine = ready()
        _ = machine.submit([entry("a", bytes: 10)])
        _ = machine.submit([entry("b")])
        #expect(machine.flush { $0.slots[0].recipient == "b" }.count == 1)
        #expect(machine.commands == 1 && machine.bytes == 1)
        #expect(delivered(&machine) == "b")
    }

    @Test("commands and bytes are bounded")
    func bounded() {
        var machine = ready()
        #expect(machine.submit([entry("a", bytes: 101)]) == .refuse(LinkFault(.overloaded)))
        #expect(machine.submit([entry("a", "b", "c", "d")]) == .flush)
        #expect(machine.submit([entry("e")]) == .refuse(LinkFault(.overloaded)))
        _ = machine.flush { _ in true }
        #expect(machine.submit([entry("e")]) == .refuse(LinkFault(.overloaded)))
        _ = delivered(&machine)
        #expect(machine.submit([entry("e")]) == .flush)
    }

    @Test("a refused password ends the attempt, and later callers hear so at once")
    func wrongPassword() {
        var machine = Machine(limits: Self.limits)
        _ = machine.submit([entry("a")])
        _ = machine.connected(steps: 2, now: start)
        guard
            case .fail(let fault) = machine.received(.error("WRONGPASS"), isAuthentication: true, now: start)
        else {
            Issue.record("accepted")
            return
        }
        #expect(fault == LinkFault(.authentication, code: "WRONGPASS"))
        let loss = machine.disconnected(fault, now: start)
        #expect(loss.refused == ["a"] && loss.lost == [] && loss.reconnectAfter == 1)
        #expect(machine.submit([entry("b")]) == .refuse(fault))
        #expect(machine.start() == true)
        #expect(machine.submit([entry("b")]) == .refuse(fault))
    }

    @Test("a lost connection loses what was written, keeps what was not, and is made again")
    func lost() {
        var machine = ready()
        _ = machine.submit([entry("a")])
        _ = machine.submit([entry("b")])
        _ = machine.flush { _ in true }
        #expect(delivered(&machine) == "a")
        _ = machine.submit([entry("c")])
        let loss = machine.disconnected(LinkFault(.connectionLost), now: start)
        #expect(loss.lost == ["b"] && loss.refused == [] && loss.reconnectAfter == 0)
        #expect(machine.submit([entry("d")]) == .keep)
        let second = machine.disconnected(LinkFault(.connectionLost), now: start)
        #expect(second.refused == ["c", "d"] && second.reconnectAfter == 1)
        #expect(machine.submit([entry("e")]) == .refuse(LinkFault(.unavailable)))
        #expect(machine.commands == 0 && machine.bytes == 0)
    }

    @Test("a server that accepts and hangs up at once is met with back-off")
    func hangsUp() {
        var machine = ready()
        #expect(machine.disconnected(LinkFault(.connectionLost), now: start).reconnectAfter == 1)
        #expect(machine.start() == true)
        _ = machine.connected(steps: 1, now: start)
        _ = machine.received(.status("OK"), isAuthentication: false, now: start)
        #expect(machine.disconnected(LinkFault(.connectionLost), now: start).reconnectAfter == 2)
    }

    @Test("an answer without a question is a fault")
    func unasked() {
        var machine = ready()
        guard case .fail(let fault) = machine.received(.status("OK"), isAuthentication: false, now: start)
        else {
            Issue.record("accepted")
            return
        }
        #expect(fault.kind == .malformedReply)
    }

    @Test("a late answer is dropped in its turn, and the next one is the next question's")
    func lateAnswers() {
        var machine = ready()
        _ = machine.submit([entry("a", deadline: start + .seconds(1))])
        _ = machine.submit([entry("b", deadline: start + .seconds(9))])
        #expect(machine.earliest == start + .seconds(1))
        _ = machine.flush { _ in true }
        _ = machine.submit([entry("c", deadline: start + .seconds(1))])
        let expiry = machine.expire(now: start + .seconds(2))
        #expect(expiry.inFlight == ["a"] && expiry.unsent == ["c"] && !expiry.isOverdue)
        #expect(machine.expire(now: start + .seconds(3)).inFlight == [])
        #expect(delivered(&machine) == "a")
        #expect(delivered(&machine) == "b")
    }

    @Test("a connection whose oldest question is far overdue counts as dead")
    func overdue() {
        var machine = ready()
        _ = machine.submit([entry("a", deadline: start + .seconds(1))])
        _ = machine.flush { _ in true }
        #expect(!machine.expire(now: start + .seconds(5)).isOverdue)
        #expect(machine.earliest == start + .seconds(6))
        #expect(machine.expire(now: start + .seconds(6)).isOverdue)
    }

    @Test("a connection that is retired answers what was asked and takes no more")
    func retires() {
        var machine = ready()
        _ = machine.submit([entry("a")])
        _ = machine.flush { _ in true }
        #expect(!machine.close(LinkFault(.unavailable), isGraceful: true).closesNow)
        #expect(machine.submit([entry("b")]) == .refuse(LinkFault(.unavailable)))
        guard case .deliverAndClose("a") = machine.received(.null, isAuthentication: false, now: start) else {
            Issue.record("not the last answer")
            return
        }
        #expect(machine.disconnected(LinkFault(.connectionLost), now: start).reconnectAfter == nil)
        #expect(machine.start() == false)
    }

    @Test("closing ends everything now")
    func closes() {
        var machine = ready()
        _ = machine.submit([entry("a")])
        _ = machine.flush { _ in true }
        _ = machine.submit([entry("b")])
        let (loss, closesNow) = machine.close(LinkFault(.closed), isGraceful: false)
        #expect(loss.lost == ["a"] && loss.refused == ["b"] && closesNow)
        #expect(machine.submit([entry("c")]) == .refuse(LinkFault(.closed)))
        #expect(machine.commands == 0)
    }
}

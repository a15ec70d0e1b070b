import Testing

@testable import Kubernetes

/// When a lease is taken, renewed, lost and given back, decided without a server or a clock.
@Suite struct LeaseMachineTests {
    private let start = ContinuousClock.now
    private let today = Timestamp(seconds: 1_000)
    private let timing = LeaseTiming()
    private let conflict = APIError(status: 409, reason: "Conflict", message: "")
    private let unanswered = APIError(status: 0, reason: APIError.Unanswered.timeout, message: "")

    private func lease(_ holder: String, version: String, seconds: Int = 15, transitions: Int = 0)
        -> StoredLease
    {
        StoredLease(
            record: LeaseRecord(holder: holder, durationSeconds: seconds, transitions: transitions),
            resourceVersion: version)
    }

    private func leader() -> LeaseMachine {
        var machine = LeaseMachine(identity: "me", timing: timing)
        _ = machine.next(at: start, timeOfDay: today)
        machine.absent()
        _ = machine.next(at: start, timeOfDay: today)
        machine.written(lease("me", version: "1"), at: start)
        return machine
    }

    @Test("A lease that isn't there is created, and held from before that was asked for")
    func creation() {
        var machine = LeaseMachine(identity: "me", timing: timing)
        #expect(machine.next(at: start, timeOfDay: today) == .read)
        machine.absent()
        let asked = start + .seconds(1)
        #expect(
            machine.next(at: asked, timeOfDay: today)
                == .create(
                    LeaseRecord(holder: "me", durationSeconds: 15, acquireTime: today, renewTime: today)))
        machine.written(lease("me", version: "1"), at: start + .seconds(3))
        #expect(machine.heldUntil == asked + .seconds(10))
        #expect(machine.next(at: start + .seconds(3), timeOfDay: today) == .wait(.seconds(2)))
    }

    @Test("Somebody else's lease is left alone until it has been seen unchanged for its whole duration")
    func takingOver() {
        var machine = LeaseMachine(identity: "me", timing: timing)
        _ = machine.next(at: start, timeOfDay: today)
        machine.found(lease("other", version: "1", transitions: 4), at: start, chance: 0)
        #expect(machine.holder == "other")
        #expect(machine.next(at: start, timeOfDay: today) == .wait(.seconds(2)))
        // Renewed after 10 s: counted from when that was seen.
        #expect(machine.next(at: start + .seconds(10), timeOfDay: today) == .read)
        machine.found(lease("other", version: "2", transitions: 4), at: start + .seconds(10), chance: 0)
        #expect(machine.next(at: start + .seconds(23), timeOfDay: today) == .read)
        machine.found(lease("other", version: "2", transitions: 4), at: start + .seconds(24), chance: 0)
        // Looked at again as soon as it may have run out.
        #expect(machine.next(at: start + .seconds(24), timeOfDay: today) == .wait(.seconds(1)))
        #expect(machine.next(at: start + .seconds(25), timeOfDay: today) == .read)
        machine.found(lease("other", version: "2", transitions: 4), at: start + .seconds(25), chance: 0)
        #expect(
            machine.next(at: start + .seconds(25), timeOfDay: today)
                == .update(
                    LeaseRecord(
                        holder: "me", durationSeconds: 15, acquireTime: today, renewTime: today,
                        transitions: 5),
                    resourceVersion: "2"))
    }

    @Test("A lease that was given back is taken at once")
    func free() {
        var machine = LeaseMachine(identity: "me", timing: timing)
        _ = machine.next(at: start, timeOfDay: today)
        machine.found(lease("", version: "9", seconds: 1), at: start, chance: 0)
        guard case .update(let record, "9") = machine.next(at: start, timeOfDay: today) else {
            return #expect(Bool(false), "not taken")
        }
        #expect(record.holder == "me" && record.transitions == 1)
    }

    @Test("A race that was lost is no error: the lease is looked at again")
    func lostRace() {
        var machine = LeaseMachine(identity: "me", timing: timing)
        _ = machine.next(at: start, timeOfDay: today)
        machine.absent()
        _ = machine.next(at: start, timeOfDay: today)
        machine.failed(APIError(status: 409, reason: "AlreadyExists", message: ""), at: start, chance: 0)
        #expect(machine.next(at: start, timeOfDay: today) == .wait(.seconds(2)))
        #expect(machine.next(at: start + .seconds(2), timeOfDay: today) == .read)
        #expect(machine.heldUntil == nil)
    }

    @Test("The holder renews with the version that it wrote last, and goes on counting from before it asked")
    func renewal() {
        var machine = leader()
        let asked = start + .seconds(2)
        guard case .update(let record, "1") = machine.next(at: asked, timeOfDay: today) else {
            return #expect(Bool(false), "not renewed")
        }
        #expect(record.transitions == 0)
        machine.written(lease("me", version: "2"), at: start + .seconds(4))
        #expect(machine.heldUntil == asked + .seconds(10))
    }

    @Test("A holder whose renewals get no answer tries on until its deadline, and has then lost the lease")
    func unansweredRenewals() {
        var machine = leader()
        var now = start + .seconds(2)
        var tries = 0
        while true {
            let order = machine.next(at: now, timeOfDay: today)
            if order == .lost { break }
            switch order {
            case .wait(let pause): now += pause
            case .read, .update:
                tries += 1
                machine.failed(unanswered, at: now, chance: 0.5)
            default: return #expect(Bool(false), "\(order)")
            }
            #expect(now <= start + .seconds(10))
        }
        #expect(tries > 2)
        #expect(now == start + .seconds(10))
        #expect(machine.heldUntil == nil)
        #expect(machine.isInDoubt)
        #expect(machine.next(at: now + .seconds(100), timeOfDay: today) == .lost)
    }

    @Test("A process that stood still beyond its deadline has lost the lease, whatever is in it")
    func standstill() {
        var machine = leader()
        #expect(machine.next(at: start + .seconds(10), timeOfDay: today) == .lost)
    }

    @Test(
        "A renewal whose answer was lost is found to have been done, and one that somebody else overtook is not"
    )
    func doubt() {
        var machine = leader()
        _ = machine.next(at: start + .seconds(2), timeOfDay: today)
        machine.failed(conflict, at: start + .seconds(3), chance: 0)
        #expect(machine.next(at: start + .seconds(3), timeOfDay: today) == .read)
        var overtaken = machine
        machine.found(lease("me", version: "2"), at: start + .seconds(3), chance: 0)
        guard case .update(_, "2") = machine.next(at: start + .seconds(3), timeOfDay: today) else {
            return #expect(Bool(false), "not renewed")
        }
        overtaken.found(lease("other", version: "2"), at: start + .seconds(3), chance: 0)
        #expect(overtaken.next(at: start + .seconds(3), timeOfDay: today) == .lost)
    }

    @Test("A lease that was deleted under its holder is lost")
    func deleted() {
        var machine = leader()
        _ = machine.next(at: start + .seconds(2), timeOfDay: today)
        machine.failed(
            APIError(status: 404, reason: "NotFound", message: ""), at: start + .seconds(2), chance: 0)
        #expect(machine.next(at: start + .seconds(2), timeOfDay: today) == .read)
        machine.absent()
        #expect(machine.next(at: start + .seconds(2), timeOfDay: today) == .lost)
    }

    @Test("Only one's own lease is given back")
    func farewell() {
        let machine = leader()
        let record = machine.farewell(to: lease("me", version: "1", transitions: 3), timeOfDay: today)
        #expect(record?.holder == "" && record?.durationSeconds == 1 && record?.transitions == 3)
        #expect(machine.farewell(to: lease("other", version: "1"), timeOfDay: today) == nil)
    }

    @Test("Of any number of candidates with calls lost, late and refused, never do two hold the lease")
    func never() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<60 {
            var stored: StoredLease?
            var version = 0
            var machines = (0..<3).map { LeaseMachine(identity: "m\($0)", timing: timing) }
            // What a write did that its writer has not heard of yet.
            var now = start
            for _ in 0..<400 {
                now += .milliseconds(Int.random(in: 0..<1500, using: &generator))
                let index = Int.random(in: 0..<3, using: &generator)
                // A process that stands still for a while is simply not chosen.
                let order = machines[index].next(at: now, timeOfDay: today)
                let arrives = Int.random(in: 0..<10, using: &generator) > 1
                let isAnswered = Int.random(in: 0..<10, using: &generator) > 1
                var answer: Result<StoredLease?, APIError> = .failure(unanswered)
                switch order {
                case .read: if arrives { answer = .success(stored) }
                case .create(let record):
                    if arrives, stored == nil {
                        version += 1
                        stored = StoredLease(record: record, resourceVersion: "\(version)")
                        answer = .success(stored)
                    } else if arrives {
                        answer = .failure(conflict)
                    }
                case .update(let record, let expected):
                    if arrives, stored?.resourceVersion == expected {
                        version += 1
                        stored = StoredLease(record: record, resourceVersion: "\(version)")
                        answer = .success(stored)
                    } else if arrives {
                        answer = .failure(conflict)
                    }
                case .wait: continue
                case .lost:
                    machines[index] = LeaseMachine(identity: "m\(index)-\(version)-\(now)", timing: timing)
                    continue
                }
                if !isAnswered { answer = .failure(unanswered) }
                now += .milliseconds(Int.random(in: 0..<3000, using: &generator))
                switch (order, answer) {
                case (.read, .success(nil)): machines[index].absent()
                case (.read, .success(let lease?)): machines[index].found(lease, at: now, chance: 0.5)
                case (_, .success(let lease?)): machines[index].written(lease, at: now)
                case (_, .failure(let error)): machines[index].failed(error, at: now, chance: 0.5)
                default: break
                }
                let holders = machines.filter { $0.heldUntil.map { $0 > now } ?? false }
                #expect(holders.count <= 1)
            }
        }
    }
}

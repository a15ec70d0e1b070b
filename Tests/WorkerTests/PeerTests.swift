import NIOHTTP1
import Testing

/// What a worker believes of the pool's others: who is there, and which requests are theirs.
@testable import Memory
@testable import Worker

@Suite("The directory of a pool's workers")
struct PeerDirectoryTests {
    private let start = ContinuousClock.now

    private func directory(_ entries: [(name: String, age: Duration, draining: Bool)]) -> PeerDirectory {
        var directory = PeerDirectory(own: "own")
        directory.observe(
            PoolReports(
                entries: entries.map { name, age, draining in
                    PoolReports.Entry(
                        report: WorkerReport(
                            worker: name, pod: "pod-\(name)", address: "10.0.0.1:1", activeSessions: 2,
                            runningTurns: 1, pendingRequests: 0, isDraining: draining), age: age)
                }, key: [1]), asked: start)
        return directory
    }

    @Test("counts who has reported lately, and relays to those that take new turns")
    func serving() {
        let directory = directory([
            ("own", .zero, false), ("a", .seconds(1), false), ("b", .seconds(1), true),
            ("gone", .seconds(6), false),
        ])
        #expect(directory.serving(start).map(\.worker) == ["a"])
        #expect(directory.load(start)?.map(\.worker) == ["a", "b", "own"])
        #expect(directory.address(of: "b", start) == "10.0.0.1:1")
        #expect(directory.address(of: "gone", start) == nil)
    }

    @Test("ends a lease five seconds after the last report, and at once where the report was taken back")
    func leases() {
        #expect(directory([("a", .milliseconds(4999), false)]).lease(of: "a", start) == .alive)
        #expect(directory([("a", .seconds(5), false)]).lease(of: "a", start) == .ended)
        #expect(directory([("a", .zero, false)]).lease(of: "b", start) == .ended)
    }

    @Test("knows nothing where the store has not answered for a while: nobody is there, and nobody is gone")
    func outage() {
        let directory = directory([("a", .seconds(4), false)])
        // As it was read, whatever the time since: nobody goes because L2 is slow to answer.
        #expect(directory.load(start + .milliseconds(2400))?.map(\.worker) == ["a"])
        let late = start + PeerDirectory.belief
        #expect(directory.load(late) == nil)
        #expect(directory.serving(late).isEmpty && directory.servingNames(late).isEmpty)
        #expect(directory.lease(of: "a", late) == .unknown)
        #expect(PeerDirectory(own: "own").lease(of: "a", start) == .unknown)
    }

    @Test("counts nobody as gone right after an outage in which nobody could report")
    func afterOutage() {
        var directory = directory([("a", .zero, false)])
        let back = start + .seconds(20)
        directory.observe(PoolReports(entries: [], key: [1]), asked: back)
        #expect(directory.lease(of: "a", back) == .unknown && directory.load(back) == nil)
        let settled = back + PeerDirectory.settling
        directory.observe(PoolReports(entries: [], key: [1]), asked: back + .seconds(1))
        #expect(directory.lease(of: "a", settled) == .ended && directory.load(settled) == [])
    }
}

@Suite("A request of another worker")
struct PeerSignatureTests {
    private let key: [UInt8] = Array("key of the pool".utf8)
    private let body: [UInt8] = Array(#"{"input":"hello"}"#.utf8)
    private let caller = Credentials.Caller(credential: "shop", mayNameEndUser: true)

    private func head(_ change: (inout HTTPRequestHead) -> Void = { _ in }) -> HTTPRequestHead {
        let headers = [(name: "x-session-id", value: "s"), (name: "x-agentpool-user", value: "ann")]
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/v1/sessions/s/turns")
        let signed = PeerSignature.fields(
            for: "b", caller: caller, method: "POST", uri: head.uri, headers: headers, body: body, now: 1000,
            key: key)
        for field in headers + signed { head.headers.add(name: field.name, value: field.value) }
        change(&head)
        return head
    }

    private func verdict(
        _ head: HTTPRequestHead, body: [UInt8]? = nil, own: String = "b", now: Int64 = 2000,
        key: [UInt8]? = nil
    ) -> PeerSignature.Refusal? {
        do throws(PeerSignature.Refusal) {
            _ = try PeerSignature.caller(
                head, body: body ?? self.body, own: own, now: now, key: key ?? self.key)
            return nil
        } catch {
            return error
        }
    }

    @Test("speaks for whom it was signed for")
    func accepted() throws {
        let found = try PeerSignature.caller(head(), body: body, own: "b", now: 2000, key: key)
        #expect(found == caller)
    }

    @Test("is refused where anything of it was changed, where it is old, and where it is for another worker")
    func refused() {
        #expect(verdict(head(), own: "c") == .otherWorker)
        #expect(verdict(head(), now: 1000 + PeerSignature.tolerance + 1) == .stale)
        #expect(verdict(head(), body: [1]) == .forged)
        #expect(verdict(head(), key: [2]) == .forged)
        #expect(verdict(head(), key: []) == .forged)
        #expect(verdict(head { $0.uri += "x" }) == .forged)
        #expect(verdict(head { $0.method = .GET }) == .forged)
        #expect(verdict(head { $0.headers.replaceOrAdd(name: "x-agentpool-user", value: "bob") }) == .forged)
        #expect(verdict(head { $0.headers.add(name: "x-agentpool-user", value: "bob") }) == .forged)
        #expect(verdict(head { $0.headers.remove(name: "x-session-id") }) == .forged)
        let field = PeerSignature.Field.credential
        #expect(verdict(head { $0.headers.replaceOrAdd(name: field, value: "root") }) == .forged)
        #expect(verdict(head { $0.headers.remove(name: PeerSignature.Field.signature) }) == .forged)
        #expect(verdict(HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")) == .otherWorker)
    }
}

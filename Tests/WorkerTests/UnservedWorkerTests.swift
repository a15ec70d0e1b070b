/// A worker that can't serve what its specification asks for, and the pulse that its liveness goes by.
import Logging
import NIOPosix
import PoolAPI
import ServiceLifecycle
import Testing
import Transport

@testable import Worker

@Suite struct UnservedWorkerTests {
    @Test(
        "A field that this version can't serve leaves a worker alive and unready, with the field and the mend"
    )
    func standsUnready() async throws {
        let problem = ManifestError.Problem(
            path: "spec.auth.jwt", message: "is not supported by this version of agentpool",
            mend: "remove the field")
        var settings = WorkerSettings(dataDirectory: "/nowhere", podName: "test-pod")
        settings.adminPort = 0
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let (ports, ready) = AsyncStream.makeStream(of: Int.self)
        let worker = UnservedWorker(
            problems: [problem], settings: settings, logger: logger, onReady: { ready.yield($0) })
        let group = ServiceGroup(configuration: .init(services: [.init(service: worker)], logger: logger))
        let client = HTTPClient(logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = try #require(await ports.first { _ in true })
            func ask(_ path: String, _ method: String = "GET") async throws -> (status: Int, body: String) {
                let response = try await client.execute(
                    HTTPRequest(method: method, url: "http://127.0.0.1:\(port)\(path)"))
                let bytes = try await response.body.collect(upTo: 1 << 20)
                return (response.status, String(decoding: bytes, as: UTF8.self))
            }
            #expect(try await ask("/livez").status == 200)
            #expect(try await ask("/startupz").status == 200)
            let readiness = try await ask("/readyz")
            #expect(readiness.status == 503)
            #expect(readiness.body.contains("spec.auth.jwt: is not supported"))
            #expect(readiness.body.contains("remove the field"))
            #expect(try await ask("/metrics").body.contains("agentpool_ready 0"))
            #expect(try await ask("/drain", "POST").status == 200)
            #expect(try await ask("/v1/models").status == 404)
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
        await client.shutdown()
    }

    @Test("A loop that has not ticked yet counts as having come round when it was made, whenever that was")
    func pulse() {
        let start = ContinuousClock.now
        _ = LoopPulse(now: start)
        let later = start + .seconds(60)
        let pulse = LoopPulse(now: later)
        #expect(pulse.age(now: later) == .zero)
        #expect(pulse.age(now: later + .seconds(16)) > .seconds(14))
        pulse.beat(now: later + .seconds(16))
        #expect(pulse.age(now: later + .seconds(17)) <= .seconds(2))
    }
}

// Keeps one process of several at work: does what the lease's machine orders, runs the leader's work while the lease
// is held, and gives it back.

import Glibc
import Logging

/// Takes part in the election for one lease.
public struct LeaderElection: Sendable {
    /// The lease couldn't be kept, so others may lead by now.
    public struct Lost: Error, Sendable, Equatable, CustomStringConvertible {
        public var description: String { "the lease was lost" }
    }

    /// How a candidacy stands, for metrics and health.
    public enum Standing: Sendable, Equatable {
        case waiting(holder: String)
        case leading
    }

    private let client: KubernetesClient
    private let name: String
    private let namespace: String
    private let identity: String
    private let timing: LeaseTiming
    private let logger: Logger
    private let report: @Sendable (Standing) -> Void

    /// - Parameters:
    ///   - identity: see ``identity(pod:)``.
    ///   - report: told at the beginning and at each change.
    public init(
        client: KubernetesClient, name: String, namespace: String, identity: String,
        timing: LeaseTiming = LeaseTiming(), logger: Logger,
        report: @escaping @Sendable (Standing) -> Void = { _ in }
    ) {
        self.client = client
        self.name = name
        self.namespace = namespace
        self.identity = identity
        self.timing = timing
        self.report = report
        var logger = logger
        logger[metadataKey: "lease"] = "\(namespace)/\(name)"
        self.logger = logger
    }

    /// A name that no other process has: the pod's, with a chance part, for a container that starts anew has the same.
    public static func identity(pod: String) -> String {
        pod + "_" + String(UInt64.random(in: 0 ... .max), radix: 36)
    }

    /// Waits for the lease, runs `lead` while it is held, and gives it back.
    ///
    /// Returns when `lead` does. When the lease is lost, or the caller's task is cancelled, `lead` is cancelled and
    /// waited for; then this throws ``Lost`` or `CancellationError`. The lease is given back once `lead` has ended.
    public func run(_ lead: @escaping @Sendable (Leadership) async throws -> Void) async throws {
        var machine = LeaseMachine(identity: identity, timing: timing)
        report(.waiting(holder: ""))
        do { try await acquire(&machine) } catch {
            if machine.isInDoubt { await release(machine) }
            throw error
        }
        guard let end = machine.heldUntil else { throw Lost() }
        let leadership = Leadership(until: end)
        logger.info("This process leads")
        report(.leading)
        let (outcome, last) = await work(under: leadership, machine, lead)
        leadership.giveUp()
        report(.waiting(holder: ""))
        await release(last)
        try outcome.get()
        // A cancelled `lead` may have ended in good order; that it ended early is the caller's to know.
        try Task.checkCancellation()
    }

    private func acquire(_ machine: inout LeaseMachine) async throws {
        var seen = ""
        while machine.heldUntil == nil {
            try Task.checkCancellation()
            let order = machine.next(at: .now, timeOfDay: .now)
            if order == .lost { throw Lost() }
            await perform(order, &machine)
            if machine.holder != seen, machine.heldUntil == nil {
                seen = machine.holder
                report(.waiting(holder: seen))
            }
        }
    }

    private enum Ended: Sendable {
        case work(Result<Void, any Error>)
        case renewal(LeaseMachine)
    }

    private func work(
        under leadership: Leadership, _ machine: LeaseMachine,
        _ lead: @escaping @Sendable (Leadership) async throws -> Void
    ) async -> (Result<Void, any Error>, LeaseMachine) {
        await withTaskGroup(of: Ended.self) { group in
            group.addTask {
                do {
                    try await lead(leadership)
                    return .work(.success(()))
                } catch {
                    return .work(.failure(error))
                }
            }
            group.addTask { .renewal(await renew(machine, leadership)) }
            var outcome: Result<Void, any Error>?
            var last = machine
            for await ended in group {
                switch ended {
                case .work(let result): outcome = outcome ?? result
                case .renewal(let machine):
                    last = machine
                    // It ends by itself only where the lease is lost.
                    if outcome == nil, !Task.isCancelled {
                        logger.error("The lease was lost")
                        outcome = .failure(Lost())
                    }
                }
                group.cancelAll()
            }
            return (outcome ?? .failure(CancellationError()), last)
        }
    }

    /// Returns when the lease is lost or the task cancelled.
    private func renew(_ machine: LeaseMachine, _ leadership: Leadership) async -> LeaseMachine {
        var machine = machine
        while !Task.isCancelled {
            let order = machine.next(at: .now, timeOfDay: .now)
            if order == .lost {
                leadership.giveUp()
                break
            }
            await perform(order, &machine)
            if let end = machine.heldUntil { leadership.hold(until: end) }
        }
        return machine
    }

    private func perform(_ order: LeaseMachine.Order, _ machine: inout LeaseMachine) async {
        do throws(APIError) {
            switch order {
            case .lost: break
            case .wait(let pause):
                // Cancelled: the callers' loops see it.
                try? await Task.sleep(for: pause)
            case .read:
                do throws(APIError) {
                    let lease = try await stored(.get(.leases, name, in: namespace), machine)
                    machine.found(lease, at: .now, chance: .random(in: 0...1))
                } catch {
                    guard error.isNotFound else { throw error }
                    machine.absent()
                }
            case .create(let record):
                let body = record.manifest(name: name, namespace: namespace, resourceVersion: nil)
                machine.written(
                    try await stored(.create(.leases, in: namespace, body: body), machine), at: .now)
            case .update(let record, let version):
                machine.written(try await stored(update(record, version), machine), at: .now)
            }
        } catch {
            if !error.isConflict, !error.isAlreadyExists, !error.isCancelled {
                logger.warning("The lease can't be reached", metadata: ["error": "\(error)"])
            }
            machine.failed(error, at: .now, chance: .random(in: 0...1))
        }
    }

    private func update(_ record: LeaseRecord, _ version: String) -> APIRequest {
        .update(
            .leases, name, in: namespace,
            body: record.manifest(name: name, namespace: namespace, resourceVersion: version))
    }

    private func stored(_ request: APIRequest, _ machine: LeaseMachine) async throws(APIError) -> StoredLease
    {
        var request = request
        // Half of the deadline, so that one call that hangs is not the end.
        request.timeout = timing.renewDeadline / 2
        if let end = machine.heldUntil { request.timeout = min(request.timeout, max(.zero, end - .now)) }
        return try KubernetesClient.decode(try await client.unpaced(request), as: StoredLease.self)
    }

    /// Gives the lease back, so that others needn't wait for it to run out.
    private func release(_ machine: LeaseMachine) async {
        // A task of its own, awaited at once: the caller's is cancelled as a rule, and a cancelled task sends nothing.
        // It ends by its time limit.
        await Task.detached { [self] in
            do throws(APIError) {
                if try await sayFarewell(machine) { logger.info("The lease was given back") }
            } catch {
                logger.warning(
                    "The lease could not be given back and runs out", metadata: ["error": "\(error)"])
            }
        }.value
    }

    /// - Returns: whether the lease was still this process's.
    private func sayFarewell(_ machine: LeaseMachine) async throws(APIError) -> Bool {
        let end = ContinuousClock.now + timing.releaseTimeout
        func limited(_ request: APIRequest) -> APIRequest {
            var request = request
            request.timeout = end - .now
            return request
        }
        var known = machine.known
        // A renewal whose answer was lost may have moved the version; nobody moves it twice.
        for isLast in [false, true] {
            if known == nil {
                known = try KubernetesClient.decode(
                    try await client.unpaced(limited(.get(.leases, name, in: namespace))),
                    as: StoredLease.self)
            }
            guard let lease = known, let record = machine.farewell(to: lease, timeOfDay: .now) else {
                return false
            }
            do throws(APIError) {
                _ = try await client.unpaced(limited(update(record, lease.resourceVersion)))
                return true
            } catch {
                guard error.isConflict, !isLast else { throw error }
                known = nil
            }
        }
        return false
    }
}

extension Timestamp {
    /// By this machine's clock, which others need not agree with.
    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }
}

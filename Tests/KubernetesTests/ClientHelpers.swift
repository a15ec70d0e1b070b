// What every test of the client needs: waiting for what must come true, a client for a while, a call's error.

import Logging

@testable import Kubernetes

/// Waits for what must come true; fails after two minutes.
func waitUntil(_ what: String, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(120)
    while try await !condition() {
        guard ContinuousClock.now < end else { throw NeverHappened(description: "never: \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

struct NeverHappened: Error, CustomStringConvertible {
    let description: String
}

/// Runs a test with a client of the server and shuts the client down after it.
@discardableResult
func withClient<Result>(
    of access: ClusterAccess, limits: RequestLimits = .none, _ body: (KubernetesClient) async throws -> Result
) async throws -> Result {
    let client = KubernetesClient(access: access, limits: limits, logger: .quiet)
    do {
        let result = try await body(client)
        await client.shutdown()
        return result
    } catch {
        await client.shutdown()
        throw error
    }
}

/// The error of a call that has to fail.
func apiError(_ body: () async throws -> Void) async throws -> APIError {
    do {
        try await body()
    } catch let error as APIError {
        return error
    }
    throw NeverHappened(description: "the call succeeded")
}

extension Logger {
    static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

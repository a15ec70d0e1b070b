// Names the API servers that the suite runs against: the stand-in always, a real one where the environment says so.

import ClusterSupport
import Foundation
import Kubernetes
import Logging
import Testing

enum ClusterKind: String, Sendable, CustomTestStringConvertible {
    case standIn = "the stand-in"
    /// The one that AGENTPOOL_TEST_KUBECONFIG names; Tests/Kubernetes/api_server.py starts one and sets it.
    case real = "a real API server"

    var testDescription: String { rawValue }

    /// What every test runs against.
    static let all: [ClusterKind] = kubeconfig == nil ? [.standIn] : [.standIn, .real]

    static let kubeconfig = ProcessInfo.processInfo.environment["AGENTPOOL_TEST_KUBECONFIG"]
    /// The account that the controller runs under, where it is not to be the administrator's.
    static let account = ProcessInfo.processInfo.environment["AGENTPOOL_TEST_RBAC"]

    static let onlyReal: ConditionTrait = .enabled(
        if: kubeconfig != nil,
        "only a real API server shows this: KUBEBUILDER_ASSETS=... Tests/Kubernetes/api_server.py -- swift test"
    )
}

/// One API server, and how the administrator and the controller reach it.
struct TestCluster: Sendable {
    let kind: ClusterKind
    /// nil: a real one.
    let standIn: StandInServer?
    let administrator: ClusterAccess
    let controller: ClusterAccess

    static func start(_ kind: ClusterKind) async throws -> TestCluster {
        switch kind {
        case .standIn:
            let server = try await StandInServer()
            return TestCluster(
                kind: kind, standIn: server,
                administrator: ClusterAccess(server: server.url, token: "administrator"),
                controller: ClusterAccess(server: server.url, token: "controller"))
        case .real:
            let path = try #require(ClusterKind.kubeconfig)
            let administrator = try ClusterAccess.kubeconfig(path: path, environment: [:])
            let controller = try ClusterKind.account.map {
                try ClusterAccess.kubeconfig(path: $0, environment: [:])
            }
            return TestCluster(
                kind: kind, standIn: nil, administrator: administrator,
                controller: controller ?? administrator)
        }
    }

    func end() async throws { try await standIn?.shutdown() }
}

extension Logger {
    /// Quiet, but where AGENTPOOL_TEST_LOG asks for the controller's log.
    static var test: Logger {
        guard ProcessInfo.processInfo.environment["AGENTPOOL_TEST_LOG"] != nil else {
            return Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        }
        var logger = Logger(label: "controller") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .debug
        return logger
    }
}

struct NotInTime: Error, CustomStringConvertible {
    let description: String
}

/// Waits for something that others bring about, with a bound that only a fault reaches.
@discardableResult
func eventually<Value>(
    _ what: String, within limit: Duration = .seconds(120), _ look: () async throws -> Value?
) async throws -> Value {
    let end = ContinuousClock.now + limit
    while true {
        if let value = try await look() { return value }
        guard ContinuousClock.now < end else { throw NotInTime(description: "not within \(limit): \(what)") }
        try await Task.sleep(for: .milliseconds(50))
    }
}

/// As `eventually`, for a condition.
func until(_ what: String, within limit: Duration = .seconds(120), _ holds: () async throws -> Bool)
    async throws
{
    try await eventually(what, within: limit) { try await holds() ? true : nil }
}

// Runs controllers inside of the test's process, and reads what they count.

import Foundation
import Kubernetes
import Logging
import Synchronization
import Testing
import Transport

@testable import Controller
@testable import PoolAPI

/// A controller that runs, as its metrics show it.
struct RunningOperator: Sendable {
    let identity: String
    let port: Int
    private let http: HTTPClient

    fileprivate init(identity: String, port: Int, http: HTTPClient) {
        self.identity = identity
        self.port = port
        self.http = http
    }

    /// The sum of a metric over all its labels, or over those that hold `labels`.
    func metric(_ name: String, _ labels: String = "") async throws -> Double {
        let response = try await http.execute(HTTPRequest(url: "http://127.0.0.1:\(port)/metrics"))
        let page = String(decoding: try await response.body.collect(upTo: 1 << 20), as: UTF8.self)
        return page.split(separator: "\n").reduce(0) { sum, line in
            guard line.hasPrefix(name), line.dropFirst(name.count).first.map({ "{ ".contains($0) }) ?? false,
                labels.isEmpty || line.contains(labels), let value = line.split(separator: " ").last
            else { return sum }
            return sum + (Double(value) ?? 0)
        }
    }

    func reconciles() async throws -> Double { try await metric("controller_runtime_reconcile_total") }
    func isLeading() async throws -> Bool { try await metric("leader_election_master_status") == 1 }
}

extension Stage {
    /// Runs a controller while `body` runs; it has ended, and given back its lease, when this returns.
    ///
    /// - Parameters:
    ///   - namespaces: what it watches; nil: the test's own.
    ///   - playsNodes: makes pods ready as they come, where no stand-in does.
    func withOperator(
        image: String = "registry.example/agentpool:1", identity: String = "one", namespaces: [String]? = nil,
        playsNodes: Bool = true, configure: (inout ControllerOptions) -> Void = { _ in },
        _ body: @escaping @Sendable (RunningOperator) async throws -> Void
    ) async throws {
        let client = KubernetesClient(access: cluster.controller, limits: .none, logger: .test)
        let (ports, opened) = AsyncStream.makeStream(of: Int.self)
        var options = ControllerOptions(identity: identity)
        options.namespaces = namespaces ?? [namespace, other]
        (options.leaseNamespace, options.leaseName) = lease
        options.metricsPort = 0
        options.metricsHost = "127.0.0.1"
        options.onListening = { port in
            opened.yield(port)
            opened.finish()
        }
        options.lastRetry = .seconds(2)
        configure(&options)
        let controller = Operator(
            client: client,
            settings: OperatorSettings(image: image, namespace: "agentpool-system"), options: options,
            logger: .test)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                do { try await controller.run() } catch is CancellationError {}
                return false
            }
            if isReal, playsNodes {
                group.addTask {
                    // Ends by cancellation alone.
                    while !Task.isCancelled {
                        try await readyPods()
                        try await Task.sleep(for: .milliseconds(200))
                    }
                    return false
                }
            }
            group.addTask {
                var configuration = HTTPClient.Configuration()
                configuration.proxies = ProxySettings()
                let http = HTTPClient(configuration: configuration, logger: .test)
                do {
                    guard let port = await ports.first(where: { _ in true }) else {
                        throw NotInTime(description: "the controller opened no port")
                    }
                    try await body(RunningOperator(identity: identity, port: port, http: http))
                } catch {
                    await http.shutdown()
                    throw error
                }
                await http.shutdown()
                return true
            }
            do {
                while let isBody = try await group.next(), !isBody {}
                group.cancelAll()
                // What was cancelled may say so.
                while (try? await group.next()) != nil {}
            } catch {
                group.cancelAll()
                while (try? await group.next()) != nil {}
                await client.shutdown()
                throw error
            }
        }
        await client.shutdown()
    }

    /// The controllers' lease by its namespace and name: the test's own, or the one that the account of AGENTPOOL_TEST_RBAC may hold.
    var lease: (namespace: String, name: String) {
        let parts = (ProcessInfo.processInfo.environment["AGENTPOOL_TEST_RBAC_LEASE"] ?? "")
            .split(separator: "/").map(String.init)
        guard isReal, ClusterKind.account != nil, parts.count == 2 else {
            return (namespace, ControllerOptions(identity: "any").leaseName)
        }
        return (parts[0], parts[1])
    }

    /// Plays the nodes of a real server: marks pods as running and ready; those of a Job, as done.
    func readyPods(ofPool pool: String? = nil) async throws {
        for namespace in [namespace, other] {
            let pods: [JSONValue]
            do {
                pods = try await objects(
                    .pods, in: namespace, labels: pool.map { "\(PoolNames.poolLabel)=\($0)" })
            } catch {
                // The namespace may be gone already.
                continue
            }
            for pod in pods where pod.at("status", "phase") == "Pending" {
                let isOfJob = pod["metadata"]?["ownerReferences"]?.list.first?["kind"] == "Job"
                let now = JSONValue.string(Date.now.formatted(.iso8601))
                let status: JSONValue = [
                    "phase": isOfJob ? "Succeeded" : "Running",
                    "conditions": [
                        [
                            "type": "Ready", "status": .string(isOfJob ? "False" : "True"),
                            "lastTransitionTime": now,
                        ]
                    ],
                ]
                // It may be gone by now.
                _ = try? await patch(
                    .pods, pod.name, in: namespace, subresource: "status", manager: "kubelet",
                    ["status": status])
            }
        }
    }
}

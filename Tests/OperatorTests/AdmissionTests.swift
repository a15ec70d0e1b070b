// What only a real API server decides: the definition's own rules, and whether it takes each manifest that we render.

import Foundation
import Kubernetes
import Testing

@testable import Controller
@testable import PoolAPI

@Suite(.serialized, .timeLimit(.minutes(10)), ClusterKind.onlyReal) struct AdmissionTests {
    /// A file of Tests/Golden/cel: its first line says `# field: message` of what its last document is refused for.
    struct RefusedCase: Sendable, CustomTestStringConvertible {
        let file: String
        let field: String
        let message: String
        var testDescription: String { file }

        static let all: [RefusedCase] = files("Tests/Golden/cel").compactMap { file in
            let path = Manifests.root.appending(path: "Tests/Golden/cel/\(file)")
            guard let text = try? String(contentsOf: path, encoding: .utf8),
                let line = text.split(separator: "\n").first, let colon = line.firstRange(of: ": ")
            else { return nil }
            return RefusedCase(
                file: file, field: String(line[..<colon.lowerBound].dropFirst(2)),
                message: String(line[colon.upperBound...]))
        }
    }

    @Test func everyRuleOfTheDefinitionRefusesItsCaseAndSaysWhy() async throws {
        try await Stage.with(.real) { stage in
            #expect(RefusedCase.all.count >= 20)
            for refused in RefusedCase.all {
                let documents = try Manifests.file("Tests/Golden/cel/\(refused.file)")
                for document in documents.dropLast() { try await stage.apply(document, .agentPools) }
                let last = try #require(documents.last)
                do {
                    try await stage.apply(last, .agentPools)
                    Issue.record("\(refused.file) was taken")
                } catch let error as APIError {
                    #expect(error.isInvalid, "\(refused.file): \(error)")
                    #expect(
                        error.causes.contains {
                            $0.field == refused.field && $0.message.contains(refused.message)
                        }, "\(refused.file): \(error.causes)")
                }
            }
            print("\(RefusedCase.all.count) cases refused")
        }
    }

    @Test func theExamplesAreTaken() async throws {
        try await Stage.with(.real) { stage in
            for file in ["examples/minimal.yaml", "examples/support.yaml", "examples/workflow.yaml"] {
                for document in try Manifests.file(file) where document["kind"] == "AgentPool" {
                    try await stage.apply(document, .agentPools, dryRun: true)
                }
            }
        }
    }

    @Test func everyRenderedManifestPassesADryRun() async throws {
        try await Stage.with(.real) { stage in
            var taken: [String: Int] = [:]
            var left: Set<String> = []
            let features = try await stage.client.features()
            for file in Self.files("Tests/Golden/children") {
                for document in try Manifests.file("Tests/Golden/children/\(file)") {
                    let name = document["kind"]?.string ?? ""
                    let kind = try #require(Stage.childKinds.first { $0.kind == name }, "\(file): \(name)")
                    guard try await stage.client.serves(kind) else {
                        left.insert("\(name) (\(file)): not served here")
                        continue
                    }
                    guard document.persistence.isSubset(of: features.sessionPersistence) else {
                        left.insert("\(name) (\(file)): of another channel of the Gateway API")
                        continue
                    }
                    do {
                        try await stage.apply(document.with(namespace: stage.namespace), kind, dryRun: true)
                        taken[name, default: 0] += 1
                    } catch {
                        Issue.record("\(file): \(name): \(error)")
                    }
                }
            }
            print(
                "taken: \(taken.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))"
            )
            if !left.isEmpty { print("skipped: \(left.sorted().joined(separator: "; "))") }
        }
    }

    @Test func theRouteIsWhatTheServersOwnChannelOfTheGatewayAPITakes() async throws {
        try await Stage.with(.real) { stage in
            let features = try await stage.client.features()
            guard features.httpRoute != .absent else { return print("skipped: HTTPRoute is not served here") }
            var pool = Manifests.pool(
                "routed", ["gateway": ["parentRefs": [["name": "edge"]]], "auth": ["mode": "None"]])
            pool["metadata"]?["namespace"] = .string(stage.namespace)
            let context = PoolContext(
                pool: try AgentPool.decode(pool), uid: nil,
                settings: OperatorSettings(image: "agentpool:test"),
                features: features)
            let route = try #require(PublicRoute.desired(context)).manifest
            #expect(route.persistence.isEmpty == features.sessionPersistence.isEmpty)
            try await stage.apply(route, .httpRoutes, dryRun: true)
            print("an HTTPRoute keeps sessions by \(route.persistence.sorted())")
        }
    }

    static func files(_ folder: String) -> [String] {
        // A folder that is not there has no files; the tests then fail by their counts.
        ((try? FileManager.default.contentsOfDirectory(atPath: Manifests.root.appending(path: folder).path))
            ?? [])
            .filter { $0.hasSuffix(".yaml") }.sorted()
    }
}

extension JSONValue {
    /// The fields by which an HTTPRoute says how it keeps sessions; none of any other object.
    fileprivate var persistence: Set<String> {
        guard self["kind"] == "HTTPRoute",
            case .object(let members)? = at("spec", "rules")?.list.first?["sessionPersistence"]
        else { return [] }
        return Set(members.keys)
    }
}

extension ClusterFeatures {
    /// The fields that an HTTPRoute here may have for it.
    fileprivate var sessionPersistence: Set<String> {
        if case .withSessionPersistence(let fields) = httpRoute { fields } else { [] }
    }
}

import Foundation
import Testing

@testable import Kubernetes

/// Calls as a server sees them, and its answers as callers do.
@Suite struct KubernetesClientTests {
    private struct Named: Decodable, Sendable, Equatable {
        struct Meta: Decodable, Equatable { var name: String }
        var metadata: Meta
    }

    @Test(
        "A call carries method, target, content, token and what it accepts; its answer is decoded and counted"
    )
    func call() async throws {
        try await ScriptedServer.run([
            .call(
                "PATCH", "/api/v1/namespaces/n/services/web?fieldManager=agentpool&force=true",
                body: "{\"a\":1}",
                headers: [
                    "Authorization": "Bearer t0ken", "Content-Type": "application/apply-patch+yaml",
                    "Accept": "application/json", "User-Agent": "agentpool",
                ], .json(200, #"{"metadata":{"name":"web"},"spec":{"x":[1,2]}}"#)),
            .get("/api/v1/pods?limit=2", .json(500, "oops")),
        ]) { server in
            let access = ClusterAccess(server: server.access.server + "/", token: "t0ken")
            try await withClient(of: access) { client in
                let apply = APIRequest.apply(
                    .services, "web", in: "n", manifest: Array("{\"a\":1}".utf8), manager: "agentpool")
                #expect(
                    try await client.decoded(apply, as: Named.self) == Named(metadata: .init(name: "web")))
                let error = try await apiError { _ = try await client.bytes(.list(.pods, in: nil, limit: 2)) }
                #expect(error.status == 500 && error.isTransient)
                #expect(
                    client.metrics.requests.map { "\($0.key.method) \($0.key.code) \($0.value)" }.sorted()
                        == [
                            "GET 500 1", "PATCH 200 1",
                        ])
            }
        }
    }

    @Test("A refusal tells the server's reason, field and pause")
    func refusal() async throws {
        let status = #"""
            {"kind":"Status","reason":"Conflict","message":"Apply failed with 1 conflict","details":{"causes":[{"reason":"FieldManagerConflict","message":"conflict with \"kubectl\"","field":".spec.replicas"}]},"code":409}
            """#
        try await ScriptedServer.run([
            .get("/api/v1/namespaces/n", .json(409, status)),
            .get("/api/v1/namespaces/n", .json(429, "{}", [("Retry-After", "5")])),
            .get("/api/v1/namespaces/n", .json(404, #"{"kind":"Status","reason":"NotFound","code":404}"#)),
        ]) { server in
            try await withClient(of: server.access) { client in
                let request = APIRequest.get(.namespaces, "n", in: nil)
                let conflict = try await apiError { _ = try await client.bytes(request) }
                #expect(conflict.isConflict && conflict.causes.first?.field == ".spec.replicas")
                let busy = try await apiError { _ = try await client.bytes(request) }
                #expect(busy.retryAfter == .seconds(5) && busy.isTransient)
                #expect(try await apiError { _ = try await client.bytes(request) }.isNotFound)
            }
        }
    }

    @Test("A server that breaks off, is silent, talks nonsense or isn't there is an error without a status")
    func noAnswer() async throws {
        try await ScriptedServer.run([
            .get("/version", .cut), .get("/version", .silence), .get("/version", .json(200, "no list")),
        ]) { server in
            try await withClient(of: server.access) { client in
                let cut = try await apiError { _ = try await client.bytes(.version) }
                #expect(cut.status == 0 && cut.reason == APIError.Unanswered.noAnswer && cut.isTransient)
                var request = APIRequest.version
                request.timeout = .seconds(5)
                let late = try await apiError { _ = try await client.bytes(request) }
                #expect(late.reason == APIError.Unanswered.timeout)
                #expect(
                    try await apiError { _ = try await client.page(.version) }.reason
                        == APIError.Unanswered.malformed)
            }
        }
        try await withClient(of: ClusterAccess(server: "http://127.0.0.1:1")) { client in
            let error = try await apiError { _ = try await client.bytes(.version) }
            #expect(error.reason == APIError.Unanswered.noAnswer)
            #expect(client.metrics.requests.first?.key.code == "<error>")
        }
    }

    @Test("A refused token is read again for the next call")
    func renewedToken() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "token-\(UUID().uuidString)").path
        try Data("old".utf8).write(to: URL(filePath: folder))
        try await ScriptedServer.run([
            .call("GET", "/version", headers: ["Authorization": "Bearer old"], .json(401, "{}")),
            .call("GET", "/version", headers: ["Authorization": "Bearer new"], .json(200, "{}")),
        ]) { server in
            let access = ClusterAccess(server: server.access.server, tokenFile: folder)
            try await withClient(of: access) { client in
                let refused = try await apiError { _ = try await client.bytes(.version) }
                #expect(refused.isUnauthorized && refused.isTransient)
                try Data("new".utf8).write(to: URL(filePath: folder))
                _ = try await client.bytes(.version)
            }
        }
        try FileManager.default.removeItem(atPath: folder)
    }

    @Test(
        "The time limit counts from the call: waiting for the rate limit is part of it, and too long a wait is told at once"
    )
    func pacing() async throws {
        try await ScriptedServer.run([.get("/version", .json(200, "{}"))]) { server in
            try await withClient(of: server.access, limits: RequestLimits(perSecond: 0.001, burst: 1)) {
                client in
                _ = try await client.bytes(.version)
                let error = try await apiError { _ = try await client.bytes(.version) }
                #expect(error.reason == APIError.Unanswered.throttled)
                #expect(error.isTransient)
            }
        }
    }

    @Test("A call that waits for its turn ends when its task is cancelled")
    func cancelledInLine() async throws {
        try await ScriptedServer.run([.get("/version", .json(200, "{}"))]) { server in
            try await withClient(of: server.access, limits: RequestLimits(perSecond: 0.001, burst: 1)) {
                client in
                _ = try await client.bytes(.version)
                var request = APIRequest.version
                request.timeout = .seconds(100_000)
                let error = try await withThrowingTaskGroup(of: APIError.self) { [request] group in
                    group.addTask { try await apiError { _ = try await client.bytes(request) } }
                    group.cancelAll()
                    return try await group.next()
                }
                #expect(error?.isCancelled == true)
            }
        }
    }

    @Test(
        "Nothing is sent without the lease, and what is under way takes no longer than the lease is good for")
    func leadership() async throws {
        try await ScriptedServer.run([
            .call("DELETE", "/api/v1/namespaces/n/pods/a", .silence)
        ]) { server in
            try await withClient(of: server.access) { client in
                let delete = APIRequest.delete(.pods, "a", in: "n")
                for lost in [Leadership(until: nil), Leadership(until: .now - .seconds(1))] {
                    let error = try await apiError { _ = try await client.bytes(delete, under: lost) }
                    #expect(error.isNotLeading && !error.isTransient)
                }
                let ending = Leadership(until: .now + .seconds(5))
                let error = try await apiError { _ = try await client.bytes(delete, under: ending) }
                #expect(error.reason == APIError.Unanswered.timeout)
                #expect(!ending.isHeld())
            }
        }
    }

    @Test("A list's items come page by page")
    func pages() async throws {
        try await ScriptedServer.run([
            .get(
                "/api/v1/pods?labelSelector=a%3Db&limit=500",
                .json(
                    200,
                    #"{"kind":"PodList","metadata":{"resourceVersion":"5","continue":"next"},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}"#
                )),
            .get(
                "/api/v1/pods?labelSelector=a%3Db&limit=500&continue=next",
                .json(
                    200,
                    #"{"metadata":{"resourceVersion":"5","continue":""},"items":[{"metadata":{"name":"c"}}]}"#
                )),
        ]) { server in
            try await withClient(of: server.access) { client in
                let all = try await client.all(.pods, in: nil, labels: "a=b", as: Named.self)
                #expect(all.map(\.metadata.name) == ["a", "b", "c"])
            }
        }
    }

    @Test("What a cluster serves beside the usual is read from its discovery and its schemas")
    func features() async throws {
        let keda = ScriptedCall.get(
            "/apis/keda.sh/v1alpha1",
            .json(200, #"{"resources":[{"name":"scaledobjects"},{"name":"scaledobjects/status"}]}"#))
        let noKEDA = ScriptedCall.get("/apis/keda.sh/v1alpha1", .json(404, "404 page not found"))
        let version = ScriptedCall.get("/version", .json(200, #"{"major":"1","gitVersion":"v1.34.1"}"#))
        let routes = ScriptedCall.get(
            "/apis/gateway.networking.k8s.io/v1",
            .json(200, #"{"resources":[{"name":"gateways"},{"name":"httproutes"}]}"#))
        func schema(_ rule: String) -> ScriptedCall {
            .get(
                "/openapi/v3/apis/gateway.networking.k8s.io/v1",
                .json(
                    200,
                    #"{"components":{"schemas":{"io.k8s.networking.gateway.v1.HTTPRouteList":{},"io.k8s.networking.gateway.v1.HTTPRoute":{"properties":{"spec":{"properties":{"rules":{"items":{"properties":{\#(rule)}}}}}}}}}}"#
                ))
        }
        let persistence =
            #""sessionPersistence":{"properties":{"sessionName":{"type":"string"},"cookieConfig":{"properties":{"lifetimeType":{}}}}}"#
        try await ScriptedServer.run([
            version, noKEDA, .get("/apis/gateway.networking.k8s.io/v1", .json(404, "{}")),
            version, keda, routes, schema(#""matches":{}"#),
            version, keda, routes, schema(persistence),
            version, keda, routes, .get("/openapi/v3/apis/gateway.networking.k8s.io/v1", .json(404, "{}")),
            version, .get("/apis/keda.sh/v1alpha1", .json(503, "{}")),
        ]) { server in
            try await withClient(of: server.access) { client in
                var seen: [ClusterFeatures] = []
                for _ in 0..<4 { seen.append(try await client.features()) }
                #expect(seen[0] == ClusterFeatures(serverVersion: "v1.34.1"))
                #expect(
                    seen[1] == ClusterFeatures(hasKEDA: true, httpRoute: .standard, serverVersion: "v1.34.1"))
                let fields: Set = ["sessionName", "cookieConfig", "cookieConfig.lifetimeType"]
                #expect(seen[2].httpRoute == .withSessionPersistence(fields: fields))
                #expect(seen[3].httpRoute == .standard)
                let error = try await apiError { _ = try await client.features() }
                #expect(error.status == 503)
            }
        }
    }
}

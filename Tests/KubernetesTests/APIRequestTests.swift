import Testing

@testable import Kubernetes

/// Requests as the server gets them.
@Suite struct APIRequestTests {
    @Test("A list and a watch name kind, namespace, selector and the moment they go on from")
    func reading() {
        let list = APIRequest.list(
            .deployments, in: "shop", labels: "app=a,tier in (x, y)", limit: 500, continuation: "a+/=")
        #expect(list.method == "GET")
        #expect(
            list.target
                == "/apis/apps/v1/namespaces/shop/deployments?labelSelector=app%3Da%2Ctier%20in%20%28x%2C%20y%29&limit=500"
                + "&continue=a%2B%2F%3D")
        #expect(APIRequest.list(.pods, in: nil).target == "/api/v1/pods")
        #expect(APIRequest.list(.namespaces, in: "ignored").target == "/api/v1/namespaces")
        #expect(
            APIRequest.list(.pods, in: nil, metadataOnly: true).accept
                == "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json")
        let watch = APIRequest.watch(.services, in: nil, from: "12", timeout: .seconds(60))
        #expect(
            watch.target
                == "/api/v1/services?watch=true&allowWatchBookmarks=true&resourceVersion=12&timeoutSeconds=60"
        )
        #expect(watch.timeout > .seconds(60))
        #expect(APIRequest.get(.pods, "a b/c", in: "n").target == "/api/v1/namespaces/n/pods/a%20b%2Fc")
        #expect(
            APIRequest.get(.deployments, "a", in: "n", subresource: "scale").target
                == "/apis/apps/v1/namespaces/n/deployments/a/scale")
        #expect(
            APIRequest.discovery(group: "keda.sh", version: "v1alpha1").target == "/apis/keda.sh/v1alpha1")
        #expect(APIRequest.discovery(group: "", version: "v1").target == "/api/v1")
        #expect(APIRequest.schema(group: "apps", version: "v1").target == "/openapi/v3/apis/apps/v1")
    }

    @Test("A server-side apply says who applies, whether by force, and to which subresource")
    func apply() {
        let apply = APIRequest.apply(
            .services, "web", in: "shop", manifest: Array("{}".utf8), manager: "agentpool", force: true)
        #expect(apply.method == "PATCH")
        #expect(apply.contentType == "application/apply-patch+yaml")
        #expect(apply.target == "/api/v1/namespaces/shop/services/web?fieldManager=agentpool&force=true")
        let status = APIRequest.apply(
            .agentPools, "p", in: "n", manifest: [], manager: "m", force: false, dryRun: true,
            subresource: "status")
        #expect(
            status.target
                == "/apis/agentpool.dev/v1alpha1/namespaces/n/agentpools/p/status?fieldManager=m&dryRun=All")
    }

    @Test("Other writes say their content, and a deletion which very object it means")
    func writing() {
        let patch = APIRequest.mergePatch(.pods, "a", in: "n", patch: [1], subresource: "status")
        #expect(
            patch.method == "PATCH" && patch.contentType == "application/merge-patch+json"
                && patch.body == [1])
        #expect(patch.target == "/api/v1/namespaces/n/pods/a/status")
        let create = APIRequest.create(.configMaps, in: "n", body: [2], manager: "m")
        #expect(create.method == "POST" && create.target == "/api/v1/namespaces/n/configmaps?fieldManager=m")
        let update = APIRequest.update(.leases, "l", in: "n", body: [3])
        #expect(update.method == "PUT")
        let delete = APIRequest.delete(.jobs, "j", in: "n", uid: "u\"1", propagation: .foreground)
        #expect(delete.method == "DELETE" && delete.target == "/apis/batch/v1/namespaces/n/jobs/j")
        #expect(
            delete.body.map { String(decoding: $0, as: UTF8.self) }
                == #"{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Foreground","preconditions":{"uid":"u\"1"}}"#
        )
    }

    @Test("An event says what happened to whom, in the API's own form, and no more than the API takes")
    func event() throws {
        let subject = ClusterEvent.Subject(kind: .agentPools, name: "p", namespace: "n", uid: "u")
        let event = ClusterEvent(
            subject, .warning, reason: "NameConflict", action: "Apply",
            note: String(repeating: "ä", count: 600),
            time: Timestamp(microseconds: 1_000_000), controller: "agentpool.dev/controller",
            instance: "pod-1")
        #expect(event.creation.target == "/apis/events.k8s.io/v1/namespaces/n/events")
        let body = JSONSlice(event.creation.body ?? [])
        #expect(body["metadata"]?["name"]?.string == "p.f4240")
        #expect(body["eventTime"]?.string == "1970-01-01T00:00:01.000000Z")
        #expect(body["regarding"]?["apiVersion"]?.string == "agentpool.dev/v1alpha1")
        #expect(body["regarding"]?["namespace"]?.string == "n")
        #expect(body["note"]?.string == String(repeating: "ä", count: 512))
        let again = event.repetition(count: 2, last: Timestamp(microseconds: 2_000_000))
        #expect(again.target == "/apis/events.k8s.io/v1/namespaces/n/events/p.f4240")
        #expect(
            again.body.map { String(decoding: $0, as: UTF8.self) }
                == #"{"series":{"count":2,"lastObservedTime":"1970-01-01T00:00:02.000000Z"}}"#)
    }

    @Test("A failed answer tells status, reason, causes and when to come back")
    func statusObject() {
        let text = """
            {"kind":"Status","apiVersion":"v1","status":"Failure","message":"spec.replicas: Invalid value: -1","reason":"Invalid",
            "details":{"name":"p","causes":[{"reason":"FieldValueInvalid","message":"Invalid value","field":"spec.replicas"}],
            "retryAfterSeconds":3},"code":422}
            """
        let error = APIError(status: 422, body: Array(text.utf8), retryAfter: nil)
        #expect(
            error
                == APIError(
                    status: 422, reason: "Invalid", message: "spec.replicas: Invalid value: -1",
                    causes: [
                        .init(field: "spec.replicas", reason: "FieldValueInvalid", message: "Invalid value")
                    ],
                    retryAfter: .seconds(3)))
        #expect(error.isInvalid && !error.isTransient)
        let proxy = APIError(status: 503, body: Array("<html>secret</html>".utf8), retryAfter: "7")
        #expect(proxy.retryAfter == .seconds(7) && proxy.isTransient && proxy.reason == "ServiceUnavailable")
        #expect(!proxy.message.contains("secret"))
        let exists = APIError(status: 409, reason: "AlreadyExists", message: "")
        #expect(exists.isAlreadyExists && !exists.isConflict)
        #expect(APIError(status: 410, reason: "Gone", message: "").isExpired)
    }
}

import Kubernetes
import Testing

@testable import Controller

@Suite struct ObservedObjectTests {
    private func object(_ text: String) throws -> ObservedObject {
        try ObservedObject(JSONSlice(Array(text.utf8)))
    }

    @Test("A Deployment is read as the API server writes it")
    func readDeployment() throws {
        let deployment = try object(
            #"""
            {"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"support","namespace":"shop",
            "uid":"0c000000-0000-4000-8000-000000000001","resourceVersion":"812","generation":3,
            "annotations":{"deployment.kubernetes.io/revision":"3"}},"spec":{"replicas":2,"selector":
            {"matchLabels":{"agentpool.dev/pool":"support"}},"template":{"metadata":{"creationTimestamp":null,
            "annotations":{"agentpool.dev/config":"support-config-1"}},"spec":{"containers":[{"name":"worker",
            "args":["\"replicas\":7"]}]}},"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}},
            "status":{"observedGeneration":3,"replicas":3,"updatedReplicas":1,"readyReplicas":2,
            "availableReplicas":2,"conditions":[{"type":"Progressing","status":"False",
            "lastUpdateTime":"2026-03-01T12:00:00Z","reason":"ProgressDeadlineExceeded",
            "message":"ReplicaSet \"support-7\" has timed out progressing."}]}}
            """#)
        #expect(deployment.metadata.name == "support")
        #expect(deployment.metadata.generation == 3)
        let record = DeploymentRecord(deployment)
        #expect(record.observedGeneration == 3)
        #expect(record.wanted == 2)
        #expect(record.replicas == 3)
        #expect(record.updated == 1)
        #expect(record.ready == 2)
        #expect(record.available == 2)
        #expect(record.config == "support-config-1")
        #expect(!record.isRecreating)
        #expect(record.stalled == #"ReplicaSet "support-7" has timed out progressing."#)
    }

    @Test("What another kind calls by the same names does no harm")
    func namesOfOtherKinds() throws {
        let odd = try object(
            #"{"metadata":{"name":"a"},"spec":{"replicas":"two","strategy":[],"template":7},"status":"fine"}"#
        )
        #expect(odd.spec.replicas == nil)
        #expect(odd.spec.strategy == nil)
        #expect(odd.spec.config == nil)
        #expect(odd.status.conditions.isEmpty)
    }

    @Test("An object without metadata can't be read")
    func metadataMissing() {
        #expect(throws: ObjectMeta.Unreadable.self) { try object(#"{"spec":{"replicas":2}}"#) }
        #expect(throws: ObjectMeta.Unreadable.self) { try object(#"{"metadata":{"namespace":"shop"}}"#) }
    }
}

// How a pool's partial pod template is merged, and what it may not do.
import PoolAPI
import Testing

@testable import Controller

@Suite struct PodTemplateMergeTests {
    private static let base: JSONValue = [
        "labels": ["a": "1"],
        "containers": [
            [
                "name": "worker", "args": ["one", "two"],
                "env": [["name": "HOME", "value": "/home"], ["name": "POD", "valueFrom": ["x": 1]]],
                "ports": [["name": "http", "containerPort": 8080]],
                "readinessProbe": ["httpGet": ["path": "/"], "periodSeconds": 5],
            ]
        ],
        "volumes": [["name": "data", "emptyDir": [:]], ["name": "tmp", "emptyDir": ["sizeLimit": "1Mi"]]],
        "tolerations": [["key": "a"]],
    ]

    private func merged(_ patch: JSONValue) -> JSONValue {
        var merge = StrategicMerge()
        let result = merge.merge(patch, over: Self.base, at: "t")
        #expect(merge.problems.isEmpty)
        return result
    }

    @Test("Maps merge, null takes a field away, and a list without a key is replaced")
    func maps() {
        let result = merged([
            "labels": ["b": "2"], "tolerations": [["key": "b"]], "volumes": .null, "new": ["deep": ["x": 1]],
        ])
        #expect(result["labels"] == ["a": "1", "b": "2"])
        #expect(result["tolerations"] == [["key": "b"]])
        #expect(result["volumes"] == nil)
        #expect(result["new"] == ["deep": ["x": 1]])
    }

    @Test("Lists merge by their key, and new entries come after ours")
    func lists() {
        let result = merged([
            "containers": [
                ["name": "sidecar", "image": "s"],
                ["name": "worker", "args": ["three"], "env": [["name": "POD", "value": "p"]]],
            ]
        ])
        #expect(result.at("containers")?.items.map { $0["name"] } == ["worker", "sidecar"])
        #expect(result.at("containers.0.args") == ["three"])
        #expect(
            result.at("containers.0.env") == [
                ["name": "HOME", "value": "/home"], ["name": "POD", "value": "p"],
            ])
    }

    @Test("The directives delete and replace are honoured")
    func directives() {
        let result = merged([
            "labels": ["$patch": "replace", "b": "2"],
            "volumes": [["name": "tmp", "$patch": "delete"], ["name": "none", "$patch": "delete"]],
            "containers": [
                ["name": "worker", "env": [["$patch": "replace"], ["name": "A", "value": "1"]]]
            ],
        ])
        #expect(result["labels"] == ["b": "2"])
        #expect(result["volumes"] == [["name": "data", "emptyDir": [:]]])
        #expect(result.at("containers.0.env") == [["name": "A", "value": "1"]])
        #expect(merged(["labels": ["$patch": "delete"]])["labels"] == nil)
    }

    @Test("A volume's source and a probe's kind take the place of ours")
    func alternatives() {
        let result = merged([
            "volumes": [["name": "data", "configMap": ["name": "c"]]],
            "containers": [["name": "worker", "readinessProbe": ["tcpSocket": ["port": 1]]]],
        ])
        #expect(result.at("volumes.0") == ["name": "data", "configMap": ["name": "c"]])
        #expect(
            result.at("containers.0.readinessProbe") == ["tcpSocket": ["port": 1], "periodSeconds": 5])
    }

    @Test(
        "What can't be merged is named with its field and mend",
        arguments: [
            (
                "{metadata: {labels: {agentpool.dev/pool: other}}}",
                "spec.pod.template.metadata.labels[\"agentpool.dev/pool\"]"
            ),
            (
                "{metadata: {annotations: {agentpool.dev/config: other}}}",
                "spec.pod.template.metadata.annotations[\"agentpool.dev/config\"]"
            ),
            ("{metadata: {labels: {a: 1}}}", "spec.pod.template.metadata.labels[\"a\"]"),
            ("{metadata: {name: x}}", "spec.pod.template.metadata.name"),
            ("{metadata: {labels: {$patch: replace}}}", "spec.pod.template.metadata.labels[\"$patch\"]"),
            ("{metadata: {labels: null}}", "spec.pod.template.metadata.labels"),
            ("{metadata: {$patch: delete}}", "spec.pod.template.metadata.$patch"),
            ("{replicas: 2}", "spec.pod.template.replicas"),
            ("{spec: {containers: {name: worker}}}", "spec.pod.template.spec.containers"),
            ("{spec: {containers: [{image: x}]}}", "spec.pod.template.spec.containers[0]"),
            ("{spec: {volumes: [tmp]}}", "spec.pod.template.spec.volumes[0]"),
            ("{spec: [a]}", "spec.pod.template.spec"),
            (
                "{spec: {containers: [{name: worker, $patch: delete}]}}",
                "spec.pod.template.spec.containers"
            ),
            (
                "{spec: {containers: [{name: worker, ports: [{containerPort: 9090, $patch: delete}]}]}}",
                "spec.pod.template.spec.containers"
            ),
            // A port of the same number is the same port under another name.
            (
                "{spec: {containers: [{name: worker, ports: [{containerPort: 9090, name: other}]}]}}",
                "spec.pod.template.spec.containers"
            ),
            ("{spec: {nodeSelector: {$patch: remove}}}", "spec.pod.template.spec.nodeSelector.$patch"),
        ])
    func problems(template: String, path: String) throws {
        let context = try PoolFixtures.context(spec: "pod: {template: \(template)}")
        let error = #expect(throws: ManifestError.self) { try Children.desired(context) }
        #expect(error?.problems.map(\.path) == [path])
        #expect(error?.problems.allSatisfy { !$0.mend.isEmpty } == true)
    }

    @Test("The peer port stays where the worker has one, and is free where it has none")
    func peerPort() throws {
        let ports = "ports: [{containerPort: 9091, name: metrics}]"
        let template = "pod: {template: {spec: {containers: [{name: worker, \(ports)}]}}}"
        let alone = try Children.desired(PoolFixtures.context(spec: template)).first(.deployments)
        #expect(alone.at("spec.template.spec.containers.0.ports.2.name") == "metrics")
        let error = #expect(throws: ManifestError.self) {
            try Children.desired(
                PoolFixtures.context(spec: "memory: {redis: {addresses: [\"r:6379\"]}}\n\(template)"))
        }
        #expect(error?.problems.map(\.message) == ["takes away the worker's port peer"])
    }
}

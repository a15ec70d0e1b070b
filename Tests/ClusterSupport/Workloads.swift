/// What a cluster's controllers and nodes would make of a Deployment: a ReplicaSet a template, pods, and a status.
import PoolAPI

/// How soon a Deployment is rolled out.
public enum WorkloadMode: String, Sendable, Codable {
    /// With the write itself.
    case prompt
    /// When the test says so.
    case held
}

extension ObjectStore {
    private static let deployments = ResourceName(group: "apps", plural: "deployments")
    private static let replicaSets = ResourceName(group: "apps", plural: "replicasets")
    private static let pods = ResourceName(group: "", plural: "pods")

    /// Looks at a Deployment after a write.
    mutating func deploymentChanged(_ key: ObjectKey) {
        guard let resource = resources[Self.deployments], let deployment = object(resource, key),
            !deployment.isDeleting
        else { return }
        let generation = deployment.metadata?["generation"]
        guard deployment.value["status"]?["observedGeneration"] != generation else { return }
        if workloads == .prompt {
            rollOut(key)
        } else {
            var status = deployment.value["status"] ?? .object([:])
            status["observedGeneration"] = generation
            status["updatedReplicas"] = 0
            status["conditions"] = .array([Self.condition("Progressing", "True", "ReplicaSetUpdated")])
            setStatus(status, resource, key)
        }
    }

    /// Ends a Deployment's roll-out: its template's ReplicaSet has all the pods, and they are ready.
    mutating func rollOut(_ key: ObjectKey) {
        guard let resource = resources[Self.deployments], let sets = resources[Self.replicaSets],
            let deployment = object(resource, key), let template = deployment.value["spec"]?["template"]
        else { return }
        let replicas = deployment.value["spec"]?["replicas"]?.integer ?? 1
        let name = "\(key.name)-\(Self.hash(template))"
        for set in objects(sets, in: key.namespace) where Self.isOwned(set.value, by: deployment.uid) {
            let other = set.metadata?["name"]?.text ?? ""
            guard other != name else { continue }
            scale(set, named: ObjectKey(namespace: key.namespace, name: other), to: 0)
        }
        let own = ObjectKey(namespace: key.namespace, name: name)
        if object(sets, own) == nil {
            var labelled = template
            if labelled["metadata"] == nil { labelled["metadata"] = .object([:]) }
            let metadata: JSONValue = [
                "labels": labelled["metadata"]?["labels"] ?? .object([:]),
                "ownerReferences": .array([Self.owner(deployment)]),
            ]
            put(["metadata": metadata, "spec": ["replicas": 0, "template": labelled]], sets, own)
        }
        if let set = object(sets, own) { scale(set, named: own, to: replicas) }
        let count = JSONValue.integer(replicas)
        setStatus(
            [
                "observedGeneration": deployment.metadata?["generation"] ?? 1, "replicas": count,
                "updatedReplicas": count, "readyReplicas": count, "availableReplicas": count,
                "conditions": .array([
                    Self.condition("Available", "True", "MinimumReplicasAvailable"),
                    Self.condition("Progressing", "True", "NewReplicaSetAvailable"),
                ]),
            ], resource, key)
    }

    private mutating func scale(_ set: StoredObject, named key: ObjectKey, to replicas: Int) {
        guard let sets = resources[Self.replicaSets], let pods = resources[Self.pods] else { return }
        guard set.value["spec"]?["replicas"]?.integer != replicas else { return }
        put(["spec": ["replicas": .integer(replicas)]], sets, key)
        let count = JSONValue.integer(replicas)
        setStatus(["replicas": count, "readyReplicas": count, "availableReplicas": count], sets, key)
        for number in 0..<max(replicas, set.value["spec"]?["replicas"]?.integer ?? 0) {
            let pod = ObjectKey(namespace: key.namespace, name: "\(key.name)-\(number)")
            if number >= replicas {
                markDeleted(pods, pod)
            } else if object(pods, pod) == nil {
                let template = set.value["spec"]?["template"]
                put(
                    [
                        "metadata": [
                            "labels": template?["metadata"]?["labels"] ?? .object([:]),
                            "annotations": template?["metadata"]?["annotations"] ?? .object([:]),
                            "ownerReferences": .array([Self.owner(set)]),
                        ],
                        "spec": template?["spec"] ?? .object([:]),
                    ], pods, pod)
                setStatus(
                    ["phase": "Running", "conditions": .array([Self.condition("Ready", "True", "Ready")])],
                    pods,
                    pod)
            }
        }
    }

    private mutating func put(_ body: JSONValue, _ resource: ServedResource, _ key: ObjectKey) {
        let method: Write.Method = object(resource, key) == nil ? .create : .mergePatch
        // Refused only where the namespace or the object goes at this moment: then there is nothing to simulate.
        _ = try? write(
            Write(method: method, body: body, manager: "kube-controller-manager"), to: resource, key)
    }

    private mutating func setStatus(_ status: JSONValue, _ resource: ServedResource, _ key: ObjectKey) {
        var body = JSONValue.object(["status": status])
        if let live = object(resource, key) {
            body = live.value
            body["status"] = status
            body["metadata"]?["resourceVersion"] = nil
        }
        // As above.
        _ = try? write(
            Write(method: .replace, body: body, manager: "kube-controller-manager", subresource: "status"),
            to: resource, key)
    }

    private static func owner(_ object: StoredObject) -> JSONValue {
        [
            "apiVersion": object.value["apiVersion"] ?? .null, "kind": object.value["kind"] ?? .null,
            "name": object.metadata?["name"] ?? .null, "uid": .string(object.uid), "controller": true,
            "blockOwnerDeletion": true,
        ]
    }

    private static func isOwned(_ object: JSONValue, by uid: String) -> Bool {
        object["metadata"]?["ownerReferences"]?.items.contains { $0["uid"]?.text == uid } ?? false
    }

    private static func condition(_ type: String, _ status: String, _ reason: String) -> JSONValue {
        ["type": .string(type), "status": .string(status), "reason": .string(reason), "message": ""]
    }

    /// The same for the same template in this process; only that matters.
    private static func hash(_ template: JSONValue) -> String {
        String(UInt32(truncatingIfNeeded: template.hashValue), radix: 36)
    }
}

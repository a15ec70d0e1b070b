/// Creates, replaces, patches and applies objects: preconditions, immutable parts, generations, owners of fields.
import PoolAPI

/// How an object is to be written.
struct Write {
    enum Method {
        case create
        case replace
        case mergePatch
        case apply(force: Bool)
    }

    var method: Method
    var body: JSONValue
    var manager: String
    /// Empty, `status` or `scale`.
    var subresource = ""
    var isDryRun = false
}

extension ObjectStore {
    /// - Returns: the object as it is after the write, and whether it is new.
    mutating func write(
        _ write: Write, to resource: ServedResource, _ key: ObjectKey
    ) throws(APIStatus) -> (object: StoredObject, isNew: Bool) {
        let what = resource.describe(key.name)
        let live = object(resource, key)
        var writer = FieldManagers.Writer(
            manager: write.manager, operation: "Update", subresource: write.subresource,
            apiVersion: resource.apiVersion, time: Self.now)
        var managers = live?.managers ?? FieldManagers()
        var after: JSONValue
        switch write.method {
        case .create:
            guard live == nil else { throw .exists(what) }
            after = write.body
        case .replace:
            guard let live else { throw .notFound(what) }
            try check(write.body, against: live, what: what, isPatch: false)
            after = Self.only(write.subresource, of: write.body, over: live.value, resource: resource)
        case .mergePatch:
            guard let live else { throw .notFound(what) }
            try check(write.body, against: live, what: what)
            let merged = Self.mergePatch(live.value, with: write.body)
            after = Self.only(write.subresource, of: merged, over: live.value, resource: resource)
        case .apply(let force):
            if let live { try check(write.body, against: live, what: what) }
            if live == nil, !write.subresource.isEmpty { throw .notFound(what) }
            if live == nil, let uid = write.body["metadata"]?["uid"]?.text {
                throw .conflict(
                    what, "Precondition failed: UID in precondition: \(uid), UID in object meta: ")
            }
            guard resource.schema == nil || !Self.holdsNull(write.body["spec"] ?? .null, isRoot: true) else {
                throw .badRequest("failed to create typed patch object (\(what)): a null is no value")
            }
            writer.operation = "Apply"
            var config = write.body
            if resource.hasStatus, write.subresource != "status" { config["status"] = nil }
            guard
                let applied = try managers.applied(
                    config, to: live?.value, by: writer, force: force, rules: resource.rules, what: what)
            else {
                guard let live else { throw .notFound(what) }
                return (live, false)
            }
            after = applied
        }
        if let live, resource.hasStatus, write.subresource != "status" {
            after["status"] = live.value["status"]
        }
        if live == nil {
            try checkNamespace(of: resource, key)
            after = new(after, of: resource, key)
        } else if let live {
            for name in ["uid", "creationTimestamp", "deletionTimestamp", "resourceVersion", "generation"] {
                after["metadata"]?[name] = live.metadata?[name]
            }
        }
        if let schema = resource.schema { after = SchemaDefaults.fill(after, schema: schema) }
        if writer.operation == "Update" {
            managers.updated(from: live?.value, to: after, by: writer, rules: resource.rules)
        }
        return (
            try finish(
                after, managers: managers, live: live, of: resource, key, isDryRun: write.isDryRun),
            live == nil
        )
    }

    private mutating func finish(
        _ after: JSONValue, managers: FieldManagers, live: StoredObject?, of resource: ServedResource,
        _ key: ObjectKey, isDryRun: Bool
    ) throws(APIStatus) -> StoredObject {
        var object = StoredObject(value: after, managers: managers, version: live?.version ?? 0)
        if let live {
            if live.value == after, live.managers == managers { return live }
            try Self.checkImmutable(live.value, after, of: resource, key)
            if live.isDeleting, object.finalizers.contains(where: { !live.finalizers.contains($0) }) {
                throw .invalid(
                    resource.describe(key.name), field: "metadata.finalizers",
                    "Forbidden: no new finalizers can be added if the object is being deleted")
            }
            if Self.wanted(live.value) != Self.wanted(after), let last = live.metadata?["generation"]?.integer
            {
                object.value["metadata"]?["generation"] = .integer(last + 1)
            }
        }
        guard !isDryRun else {
            object.bytes = JSONBytes.write(object.value)
            return object
        }
        let done = commit(object, of: resource, key: key, before: live)
        if done.isDeleting, done.finalizers.isEmpty { markDeleted(resource, key) }
        if live == nil, isOrphan(done.value) { markDeleted(resource, key) }
        if resource.plural == "deployments", self.object(resource, key) != nil { deploymentChanged(key) }
        return done
    }

    private func new(_ object: JSONValue, of resource: ServedResource, _ key: ObjectKey) -> JSONValue {
        var object = object
        if object["metadata"] == nil { object["metadata"] = .object([:]) }
        object["metadata"]?["name"] = .string(key.name)
        if resource.isNamespaced { object["metadata"]?["namespace"] = .string(key.namespace) }
        object["metadata"]?["managedFields"] = nil
        object["metadata"]?["resourceVersion"] = nil
        if resource.hasStatus {
            object["status"] = nil
            object["metadata"]?["generation"] = 1
        }
        if resource.name == Self.namespaces { object["status"] = ["phase": "Active"] }
        object["kind"] = .string(resource.kind)
        object["apiVersion"] = .string(resource.apiVersion)
        return stamped(object)
    }

    private func check(
        _ body: JSONValue, against live: StoredObject, what: String, isPatch: Bool = true
    ) throws(APIStatus) {
        if let uid = body["metadata"]?["uid"]?.text, uid != live.uid {
            // A replacement has its uid as a precondition; in a patch it is one more field, and one that can't change.
            guard isPatch else {
                throw .conflict(
                    what, "Precondition failed: UID in precondition: \(uid), UID in object meta: \(live.uid)")
            }
            throw .invalid(what, field: "metadata.uid", "Invalid value: \"\(uid)\": field is immutable")
        }
        if let version = body["metadata"]?["resourceVersion"]?.text, !version.isEmpty,
            version != String(live.version)
        {
            throw .conflict(
                what,
                "the object has been modified; please apply your changes to the latest version and try again")
        }
    }

    /// What a write through a subresource may change.
    private static func only(
        _ subresource: String, of body: JSONValue, over live: JSONValue, resource: ServedResource
    ) -> JSONValue {
        var result = live
        switch subresource {
        case "status": result["status"] = body["status"]
        case "scale": result["spec"]?["replicas"] = body["spec"]?["replicas"]
        default:
            result = body
            result["metadata"]?["managedFields"] = nil
            for name in ["name", "namespace"] { result["metadata"]?[name] = live["metadata"]?[name] }
        }
        return result
    }

    private static func checkImmutable(
        _ live: JSONValue, _ after: JSONValue, of resource: ServedResource, _ key: ObjectKey
    ) throws(APIStatus) {
        let what = resource.describe(key.name)
        if resource.plural == "configmaps", live["immutable"] == true,
            live["data"] != after["data"] || after["immutable"] != true
        {
            throw .invalid(what, field: "data", "Forbidden: field is immutable when `immutable` is set")
        }
        let fixed = ["deployments": ["selector"], "jobs": ["template", "selector"]][resource.plural] ?? []
        for field in fixed where live["spec"]?[field] != after["spec"]?[field] {
            throw .invalid(what, field: "spec.\(field)", "Invalid value: field is immutable")
        }
    }

    /// What a generation counts: all but metadata and status.
    private static func wanted(_ object: JSONValue) -> JSONValue {
        var object = object
        object["metadata"] = nil
        object["status"] = nil
        return object
    }

    static func mergePatch(_ value: JSONValue, with patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var members = value.members
        for (name, change) in changes {
            members[name] = change == .null ? nil : mergePatch(members[name] ?? .object([:]), with: change)
        }
        return .object(members)
    }

    private static func holdsNull(_ value: JSONValue, isRoot: Bool = false) -> Bool {
        switch value {
        case .null: !isRoot
        case .array(let items): items.contains { holdsNull($0) }
        case .object(let members): members.values.contains { holdsNull($0) }
        default: false
        }
    }
}

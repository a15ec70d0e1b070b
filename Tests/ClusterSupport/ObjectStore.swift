/// The stand-in's objects with their resource versions, and the log of changes that watches are served from.
import Foundation
import PoolAPI

struct ObjectKey: Hashable, Comparable, Sendable {
    /// Empty for an object of the whole cluster.
    var namespace: String
    var name: String

    static func < (left: Self, right: Self) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}

struct StoredObject: Sendable {
    /// Without managedFields.
    var value: JSONValue
    var managers: FieldManagers
    var version: Int
    /// The whole object, as an answer holds it.
    var bytes: [UInt8] = []

    var metadata: JSONValue? { value["metadata"] }
    var uid: String { metadata?["uid"]?.text ?? "" }
    var isDeleting: Bool { metadata?["deletionTimestamp"] != nil }
    var finalizers: [JSONValue] { metadata?["finalizers"]?.items ?? [] }
}

/// One change of one object.
struct Change: Sendable {
    var resource: ResourceName
    var key: ObjectKey
    /// As it was before; nil: it is new.
    var before: JSONValue?
    /// As it is now, or was last.
    var object: StoredObject
    var isGone: Bool
}

struct ObjectStore: Sendable {
    private(set) var resources: [ResourceName: ServedResource]
    /// The last version that was given.
    private(set) var version = 1
    private(set) var tables: [ResourceName: [ObjectKey: StoredObject]] = [:]
    /// Changes that watches may still be served with, the oldest first.
    private(set) var log: [Change] = []
    /// A watch from before this version is refused.
    private(set) var oldestVersion = 1
    /// Changes that nobody has taken to the watches yet.
    private var untold: [Change] = []
    private var dependants: [String: Set<ObjectReference>] = [:]
    private var uids: Set<String> = []
    private var sizes: [String: Int] = [:]
    private var snapshots: [Int: (objects: [StoredObject], version: Int)] = [:]
    private var lastSnapshot = 0
    var workloads = WorkloadMode.prompt

    static let logLimit = 20_000

    struct ObjectReference: Hashable, Sendable {
        var resource: ResourceName
        var key: ObjectKey
    }

    init() {
        resources = Dictionary(uniqueKeysWithValues: ServedResource.builtIn.map { ($0.name, $0) })
        for name in ["default", "kube-system"] {
            let namespace: JSONValue = [
                "apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(name)],
                "status": ["phase": "Active"],
            ]
            guard let resource = resources[ResourceName(group: "", plural: "namespaces")] else { continue }
            commit(
                StoredObject(value: stamped(namespace), managers: FieldManagers(), version: 0), of: resource,
                key: ObjectKey(namespace: "", name: name), before: nil)
        }
    }

    func object(_ resource: ServedResource, _ key: ObjectKey) -> StoredObject? { tables[resource.name]?[key] }

    mutating func takeUntold() -> [Change] {
        defer { untold = [] }
        return untold
    }

    /// Forgets the log, so that each watch from before now is refused.
    mutating func expireVersions() {
        log = []
        snapshots = [:]
        // One in between that nobody was told: a watch from what was the newest is refused too.
        version += 2
        oldestVersion = version
    }

    /// - Returns: all changes after `version`, as far as the log goes back.
    func changes(after version: Int, of resource: ResourceName) throws(APIStatus) -> [Change] {
        guard version >= oldestVersion - 1 else { throw .expired(version) }
        return log.filter { $0.resource == resource && $0.object.version > version }
    }

    func objects(_ resource: ServedResource, in namespace: String?) -> [StoredObject] {
        let table = tables[resource.name] ?? [:]
        let keys =
            namespace.map { namespace in table.keys.filter { $0.namespace == namespace } }
            ?? Array(table.keys)
        return keys.sorted().compactMap { table[$0] }
    }

    struct Page {
        var objects: ArraySlice<StoredObject>
        var version: Int
        var continuation: String?
        var remaining = 0
    }

    mutating func page(
        _ resource: ServedResource, in namespace: String?, matching selectors: Selectors, limit: Int,
        continuation: String?
    ) throws(APIStatus) -> Page {
        var start = 0
        var number = 0
        if let continuation {
            let parts = continuation.split(separator: ".").compactMap { Int($0) }
            guard parts.count == 2, snapshots[parts[0]] != nil else { throw .expired(0) }
            (number, start) = (parts[0], parts[1])
        } else {
            lastSnapshot += 1
            number = lastSnapshot
            let objects = objects(resource, in: namespace).filter { selectors.match($0.value) }
            snapshots[number] = (objects, version)
            snapshots[number - 32] = nil
        }
        guard let snapshot = snapshots[number] else { throw .expired(0) }
        let end = limit > 0 ? min(start + limit, snapshot.objects.count) : snapshot.objects.count
        var page = Page(objects: snapshot.objects[start..<end], version: snapshot.version)
        page.remaining = snapshot.objects.count - end
        if page.remaining > 0 { page.continuation = "\(number).\(end)" } else { snapshots[number] = nil }
        return page
    }

    /// A new object's metadata, as the server adds it.
    func stamped(_ object: JSONValue) -> JSONValue {
        var object = object
        object["metadata"]?["uid"] = .string(UUID().uuidString.lowercased())
        object["metadata"]?["creationTimestamp"] = .string(Self.now)
        return object
    }

    static var now: String { Date.now.formatted(.iso8601) }

    @discardableResult
    mutating func commit(
        _ object: StoredObject, of resource: ServedResource, key: ObjectKey, before: StoredObject?
    ) -> StoredObject {
        let object = versioned(object)
        tables[resource.name, default: [:]][key] = object
        if before == nil {
            uids.insert(object.uid)
            sizes[key.namespace, default: 0] += 1
        }
        index(object, of: resource, key: key, before: before)
        note(Change(resource: resource.name, key: key, before: before?.value, object: object, isGone: false))
        if resource.name.plural == "customresourcedefinitions",
            before == nil || before?.value != object.value,
            let served = ServedResource(definition: object.value)
        {
            resources[served.name] = served
        }
        return object
    }

    /// Removes an object, and then what it alone owned.
    mutating func remove(_ resource: ServedResource, _ key: ObjectKey) {
        guard let last = tables[resource.name]?.removeValue(forKey: key) else { return }
        uids.remove(last.uid)
        sizes[key.namespace, default: 0] -= 1
        for owner in Self.owners(last.value) {
            dependants[owner]?.remove(ObjectReference(resource: resource.name, key: key))
        }
        note(
            Change(
                resource: resource.name, key: key, before: last.value, object: versioned(last), isGone: true))
        if resource.name.plural == "customresourcedefinitions" {
            if let served = ServedResource(definition: last.value) {
                for key in (tables[served.name] ?? [:]).keys { remove(served, key) }
                resources[served.name] = nil
            }
        }
        for dependant in dependants.removeValue(forKey: last.uid) ?? [] {
            guard let kind = resources[dependant.resource] else { continue }
            markDeleted(kind, dependant.key)
        }
        endNamespace(key.namespace)
    }

    /// Whether one of the owners that it names is not there: the garbage collector deletes such an object.
    func isOrphan(_ object: JSONValue) -> Bool {
        let owners = Self.owners(object)
        return !owners.isEmpty && owners.allSatisfy { !uids.contains($0) }
    }

    func isEmpty(_ namespace: String) -> Bool { sizes[namespace, default: 0] == 0 }

    private func versioned(_ object: StoredObject) -> StoredObject {
        var object = object
        object.version = version + 1
        object.value["metadata"]?["resourceVersion"] = .string(String(object.version))
        var whole = object.value
        if !object.managers.entries.isEmpty { whole["metadata"]?["managedFields"] = object.managers.json }
        object.bytes = JSONBytes.write(whole)
        return object
    }

    private mutating func note(_ change: Change) {
        version = change.object.version
        untold.append(change)
        log.append(change)
        guard log.count > Self.logLimit else { return }
        log.removeFirst(Self.logLimit / 4)
        oldestVersion = log[0].object.version
    }

    private mutating func index(
        _ object: StoredObject, of resource: ServedResource, key: ObjectKey, before: StoredObject?
    ) {
        let reference = ObjectReference(resource: resource.name, key: key)
        let owners = Self.owners(object.value)
        for owner in before.map({ Self.owners($0.value) }) ?? [] where !owners.contains(owner) {
            dependants[owner]?.remove(reference)
        }
        for owner in owners { dependants[owner, default: []].insert(reference) }
    }

    private static func owners(_ object: JSONValue) -> [String] {
        object["metadata"]?["ownerReferences"]?.items.compactMap { $0["uid"]?.text } ?? []
    }
}

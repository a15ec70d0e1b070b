/// Deletion as a cluster does it: finalizers first, then the object, then what it owned; a namespace with all in it.
import PoolAPI

extension ObjectStore {
    /// Deletes an object, or marks it where finalizers hold it.
    @discardableResult
    mutating func markDeleted(_ resource: ServedResource, _ key: ObjectKey) -> StoredObject? {
        guard let object = object(resource, key) else { return nil }
        let isNamespace = resource.name == Self.namespaces
        if object.finalizers.isEmpty, !isNamespace || isEmpty(key.name) {
            remove(resource, key)
            return object
        }
        guard !object.isDeleting else { return object }
        var marked = object
        marked.value["metadata"]?["deletionTimestamp"] = .string(Self.now)
        marked.value["metadata"]?["deletionGracePeriodSeconds"] = 0
        if let generation = object.metadata?["generation"]?.integer {
            marked.value["metadata"]?["generation"] = .integer(generation + 1)
        }
        if isNamespace { marked.value["status"] = ["phase": "Terminating"] }
        let done = commit(marked, of: resource, key: key, before: object)
        guard isNamespace else { return done }
        for inside in resources.values where inside.isNamespaced {
            for child in objects(inside, in: key.name) {
                markDeleted(inside, ObjectKey(namespace: key.name, name: child.metadata?["name"]?.text ?? ""))
            }
        }
        endNamespace(key.name)
        return done
    }

    /// Removes a namespace that is being deleted, once nothing is left in it.
    mutating func endNamespace(_ name: String) {
        guard !name.isEmpty, isEmpty(name), let resource = resources[Self.namespaces] else { return }
        let key = ObjectKey(namespace: "", name: name)
        guard let namespace = object(resource, key), namespace.isDeleting else { return }
        remove(resource, key)
    }

    /// Refuses what would be made in a namespace that is not there or is going.
    func checkNamespace(of resource: ServedResource, _ key: ObjectKey) throws(APIStatus) {
        guard resource.isNamespaced, let namespaces = resources[Self.namespaces] else { return }
        guard let namespace = object(namespaces, ObjectKey(namespace: "", name: key.namespace)) else {
            throw .notFound("namespaces \"\(key.namespace)\"")
        }
        guard !namespace.isDeleting else {
            throw APIStatus(
                code: 403, reason: "Forbidden",
                message:
                    "\(resource.describe(key.name)) is forbidden: unable to create new content in namespace "
                    + "\(key.namespace) because it is being terminated",
                causes: [("NamespaceTerminating", "metadata.namespace", "namespace is being terminated")])
        }
    }

    static let namespaces = ResourceName(group: "", plural: "namespaces")
}

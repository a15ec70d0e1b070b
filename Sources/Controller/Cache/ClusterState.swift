/// What the controller knows of the cluster: pools and what they own, as the watches told it.
import Kubernetes
import PoolAPI

/// The caches of all watches as one value; each input answers which pools are to be looked at anew.
///
/// Holds a few hundred bytes an object. An entry lives as long as its pool or anything that it owned.
struct ClusterState: Sendable {
    struct Entry: Sendable {
        var pool: PoolRecord?
        var children: [ChildRecord] = []
        var deployment: DeploymentRecord?
        var replicaSets: [ReplicaSetRecord] = []
        var jobs: [JobRecord] = []
        /// When everything of the pool was last looked at anew.
        var syncedAt: ContinuousClock.Instant?

        var isEmpty: Bool { pool == nil && children.isEmpty && replicaSets.isEmpty }

        func child(_ id: ChildID) -> ChildRecord? { children.first { $0.id == id } }
    }

    /// What one watch tells of.
    struct Scope: Sendable, Hashable {
        enum Source: Sendable, Hashable {
            case pools
            case children(ChildKind)
            case replicaSets
        }

        var source: Source
        /// Nil: all namespaces.
        var namespace: String?
    }

    private(set) var entries: [PoolReference: Entry] = [:]
    /// Pools whose Deployment has pods of two templates, or will soon.
    private(set) var rolling: Set<PoolReference> = []
    /// The objects seen by listings that are under way.
    private var listings: [Scope: Set<String>] = [:]
    private var listed: Set<Scope> = []
    /// Pools of which an object stands where a child should; they are looked at again when another pool's object goes.
    private var inConflict: Set<PoolReference> = []
    /// One copy of each namespace's name.
    private var namespaces: [String: String] = [:]

    /// Nil where neither the pool nor anything that it owned is known.
    subscript(pool: PoolReference) -> Entry? { entries[pool] }

    /// Whether every one of these watches has been through its first listing.
    func hasListed(_ scopes: some Sequence<Scope>) -> Bool { scopes.allSatisfy(listed.contains) }

    // MARK: Pools

    mutating func take(_ delivery: WatchDelivery<PoolObject>, _ scope: Scope) -> [PoolReference] {
        switch delivery {
        case .listBegan:
            listings[scope] = []
            return []
        case .page(let objects):
            return objects.compactMap { object in
                let key = key(object.metadata.namespace, object.metadata.name)
                listings[scope]?.insert(Self.mark(object.metadata.namespace, object.metadata.name))
                return store(object.record, key, isList: true)
            }
        case .listEnded: return endListing(scope)
        case .changed(let object):
            let key = key(object.metadata.namespace, object.metadata.name)
            return store(object.record, key, isList: false).map { [$0] } ?? []
        case .removed(let object):
            let key = key(object.metadata.namespace, object.metadata.name)
            guard entries[key]?.pool?.uid == ObjectUID(object.metadata.uid) else { return [] }
            entries[key]?.pool = nil
            dropIfEmpty(key)
            return [key]
        }
    }

    private mutating func store(_ record: PoolRecord, _ key: PoolReference, isList: Bool) -> PoolReference? {
        let known = entries[key]?.pool
        if let known, known.uid == record.uid, !isList,
            ResourceVersion.isOlder(record.resourceVersion, than: known.resourceVersion)
        {
            return nil
        }
        entries[key, default: Entry()].pool = record
        guard let known else { return key }
        var same = known
        same.resourceVersion = record.resourceVersion
        return same == record ? nil : key
    }

    /// Remembers a status of ours before the watch tells of it.
    mutating func wroteStatus(
        _ key: PoolReference, uid: ObjectUID, resourceVersion: String, _ status: StatusRecord
    ) {
        guard let known = entries[key]?.pool, known.uid == uid,
            ResourceVersion.isOlder(known.resourceVersion, than: resourceVersion)
        else { return }
        entries[key]?.pool?.resourceVersion = resourceVersion
        entries[key]?.pool?.status = status
    }

    // MARK: Objects that pools own

    mutating func take(_ delivery: WatchDelivery<ObservedObject>, _ scope: Scope) -> [PoolReference] {
        switch delivery {
        case .listBegan:
            listings[scope] = []
            return []
        case .page(let objects):
            return objects.compactMap { object in
                listings[scope]?.insert(Self.mark(object.metadata.namespace, object.metadata.name))
                return store(object, scope.source)
            }
        case .listEnded: return endListing(scope)
        case .changed(let object): return store(object, scope.source).map { [$0] } ?? []
        case .removed(let object):
            guard let key = owner(object.metadata) else { return [] }
            let isGone = remove(object.metadata.name, ObjectUID(object.metadata.uid), scope.source, key)
            return (isGone ? [key] : []) + inConflict.filter { $0.namespace == key.namespace && $0 != key }
        }
    }

    /// Notes whether another's object stands where a child of this pool should.
    mutating func setConflict(_ key: PoolReference, _ isInConflict: Bool) {
        if isInConflict { inConflict.insert(key) } else { inConflict.remove(key) }
    }

    private mutating func store(_ object: ObservedObject, _ source: Scope.Source) -> PoolReference? {
        guard let key = owner(object.metadata) else { return nil }
        switch source {
        case .pools: return nil
        case .replicaSets:
            let record = ReplicaSetRecord(object)
            let sets = entries[key]?.replicaSets ?? []
            guard !sets.contains(record) else { return nil }
            entries[key, default: Entry()].replicaSets = sets.filter { $0.name != record.name } + [record]
            return key
        case .children(let kind):
            let hasChanged = store(ChildRecord(kind, object.metadata, pool: key.name), key)
            switch kind {
            case .deployment:
                let record = DeploymentRecord(object)
                guard record != entries[key]?.deployment else { return hasChanged ? key : nil }
                entries[key]?.deployment = record
                if record.isRolling { rolling.insert(key) } else { rolling.remove(key) }
                return key
            case .job:
                let record = JobRecord(object)
                let jobs = entries[key]?.jobs ?? []
                guard !jobs.contains(record) else { return hasChanged ? key : nil }
                entries[key]?.jobs = jobs.filter { $0.name != record.name } + [record]
                return key
            default: return hasChanged ? key : nil
            }
        }
    }

    /// - Returns: Whether more than the version has changed.
    private mutating func store(_ record: ChildRecord, _ key: PoolReference) -> Bool {
        guard let index = entries[key]?.children.firstIndex(where: { $0.id == record.id }) else {
            // Room for what is there and no more: growing by doubling would cost as much again.
            let count = entries[key]?.children.count ?? 0
            entries[key, default: Entry()].children.reserveCapacity(count + 1)
            entries[key]?.children.append(record)
            return true
        }
        guard var known = entries[key]?.children[index] else { return true }
        var record = record
        if known.uid == record.uid { record.verified = known.verified }
        entries[key]?.children[index] = record
        known.resourceVersion = record.resourceVersion
        return known != record
    }

    /// Remembers the answer of an apply, so that the object isn't applied again for what it was before.
    mutating func verified(_ key: PoolReference, _ answer: ChildRecord, digest: UInt64) {
        guard let index = entries[key]?.children.firstIndex(where: { $0.id == answer.id }) else { return }
        entries[key]?.children[index].verify(answer, digest: digest)
    }

    /// Makes every object of the pool count as unverified, where the last time is as long ago as the interval says.
    mutating func beginResync(_ key: PoolReference, every interval: Duration, _ now: ContinuousClock.Instant)
    {
        guard let entry = entries[key] else { return }
        if let last = entry.syncedAt, last.duration(to: now) < interval { return }
        entries[key]?.syncedAt = now
        for index in entry.children.indices { entries[key]?.children[index].verified = nil }
    }

    private mutating func remove(
        _ name: String, _ uid: ObjectUID?, _ source: Scope.Source, _ key: PoolReference
    ) -> Bool {
        guard var entry = entries[key] else { return false }
        switch source {
        case .pools: return false
        case .replicaSets:
            guard entry.replicaSets.contains(where: { $0.name == name }) else { return false }
            entry.replicaSets.removeAll { $0.name == name }
        case .children(let kind):
            let id = ChildID(kind: kind, name: name)
            guard let known = entry.child(id), uid == nil || known.uid == uid else { return false }
            entry.children.removeAll { $0.id == id }
            if kind == .job { entry.jobs.removeAll { $0.name == name } }
            if kind == .deployment, entry.deployment?.name == name {
                entry.deployment = nil
                rolling.remove(key)
            }
        }
        entries[key] = entry
        dropIfEmpty(key)
        return true
    }

    /// Forgets all objects of a kind that the cluster no longer serves.
    mutating func forget(_ kind: ChildKind) -> [PoolReference] {
        listed = listed.filter { $0.source != .children(kind) }
        return entries.keys.filter { key in
            let gone = entries[key]?.children.filter { $0.id.kind == kind } ?? []
            return gone.reduce(false) { $0 || remove($1.id.name, nil, .children(kind), key) || $0 }
        }
    }

    // MARK: Listings

    /// Forgets what a listing that has ended didn't name.
    private mutating func endListing(_ scope: Scope) -> [PoolReference] {
        listed.insert(scope)
        guard let seen = listings.removeValue(forKey: scope) else { return [] }
        var changed: [PoolReference] = []
        for (key, entry) in entries where scope.namespace == nil || scope.namespace == key.namespace {
            let gone: [String]
            switch scope.source {
            case .pools:
                guard entry.pool != nil, !seen.contains(Self.mark(key.namespace, key.name)) else { continue }
                entries[key]?.pool = nil
                dropIfEmpty(key)
                changed.append(key)
                continue
            case .replicaSets: gone = entry.replicaSets.map(\.name)
            case .children(let kind): gone = entry.children.filter { $0.id.kind == kind }.map(\.id.name)
            }
            for name in gone where !seen.contains(Self.mark(key.namespace, name)) {
                if remove(name, nil, scope.source, key) { changed.append(key) }
            }
        }
        return changed
    }

    private static func mark(_ namespace: String?, _ name: String) -> String {
        "\(namespace ?? "")/\(name)"
    }

    // MARK: Keys

    private mutating func key(_ namespace: String?, _ name: String) -> PoolReference {
        let namespace = namespace ?? "default"
        let shared = namespaces[namespace] ?? namespace
        if namespaces[namespace] == nil { namespaces[namespace] = namespace }
        let key = PoolReference(namespace: shared, name: name)
        return entries.index(forKey: key).map { entries[$0].key } ?? key
    }

    /// The pool in charge of an object: its owner, or where it has none the one that its label names.
    private mutating func owner(_ metadata: ObjectMeta) -> PoolReference? {
        if let owner = metadata.controller, owner.isPool { return key(metadata.namespace, owner.name) }
        return metadata.labels[PoolNames.poolLabel].map { key(metadata.namespace, $0) }
    }

    private mutating func dropIfEmpty(_ key: PoolReference) {
        guard entries[key]?.isEmpty == true else { return }
        entries[key] = nil
        rolling.remove(key)
        inConflict.remove(key)
    }
}

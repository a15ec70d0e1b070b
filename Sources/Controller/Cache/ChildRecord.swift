/// What is remembered of an object that a pool owns: enough to see whether it is as the pool wants it.
import Kubernetes
import PoolAPI

struct ChildRecord: Sendable, Equatable {
    var id: ChildID
    var uid: ObjectUID
    var resourceVersion: String
    var generation: Int
    /// Of the manifest that was applied last; nil where the annotation is missing or not ours.
    var digest: UInt64?
    var owner: Owner
    /// Nil where nobody but us wrote to the object since we did, else a fingerprint of who did and when.
    var suspicion: UInt64?
    /// The manager that keeps the replicas for the time in which they are handed to an autoscaler.
    var hasHandover: Bool
    var isTerminating: Bool
    /// The state of the object that an apply of ours left as it should be.
    var verified: Verified?

    enum Owner: Sendable, Hashable {
        case none
        /// An AgentPool whose name is that of the pool under which this record is kept.
        case pool(ObjectUID)
        case other
    }

    struct Verified: Sendable, Hashable {
        var resourceVersion: String
        var generation: Int
        var digest: UInt64
        var suspicion: UInt64?
    }

    /// - Parameter pool: The name of the pool under which the record is kept.
    init(_ kind: ChildKind, _ metadata: ObjectMeta, pool: String) {
        id = ChildID(kind: kind, name: metadata.name)
        uid = ObjectUID(metadata.uid)
        resourceVersion = metadata.resourceVersion
        generation = metadata.generation
        digest = metadata.annotations[PoolNames.digestAnnotation].flatMap(HexText.value)
        switch metadata.controller {
        case nil: owner = .none
        case let reference? where reference.isPool && reference.name == pool:
            owner = .pool(ObjectUID(reference.uid))
        default: owner = .other
        }
        suspicion = Self.suspicion(metadata.managedFields)
        hasHandover = metadata.managedFields.contains { $0.manager == FieldManager.handover }
        isTerminating = metadata.deletionTimestamp != nil
    }

    /// Whether the object is what a manifest of this digest made of it, as far as can be told without reading all of it.
    func isAsApplied(_ wanted: UInt64) -> Bool {
        if let verified, verified.digest == wanted {
            if verified.resourceVersion == resourceVersion { return true }
            // The answer of the apply came before the watch told of it.
            if ResourceVersion.isOlder(resourceVersion, than: verified.resourceVersion) { return true }
            // Status moves the version as well. What the same managers wrote in one second without moving the generation
            // would be missed here, and waits for the next resync.
            if digest == wanted, generation > 0, verified.generation == generation,
                verified.suspicion == suspicion
            {
                return true
            }
        }
        return digest == wanted && suspicion == nil
    }

    /// Remembers the answer of an apply of the manifest with this digest.
    mutating func verify(_ answer: ChildRecord, digest: UInt64) {
        guard answer.uid == uid else { return }
        verified = Verified(
            resourceVersion: answer.resourceVersion, generation: answer.generation, digest: digest,
            suspicion: answer.suspicion)
    }

    /// Others' entries that are not older than ours make an object suspect; times count in seconds, so equal ones do too.
    private static func suspicion(_ entries: [ManagedFieldsEntry]) -> UInt64? {
        let own = entries.first {
            $0.manager == PoolNames.fieldManager && $0.operation == "Apply" && $0.subresource.isEmpty
        }
        var fingerprint: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { fingerprint = (fingerprint ^ UInt64(byte)) &* 0x100_0000_01b3 }
        var isSuspect = own == nil
        for entry in entries where entry.subresource.isEmpty && entry.manager != FieldManager.handover {
            if entry.manager == PoolNames.fieldManager, entry.operation == "Apply" { continue }
            guard let time = entry.time, let ownTime = own?.time, time < ownTime else {
                isSuspect = true
                entry.manager.utf8.forEach(add)
                entry.operation.utf8.forEach(add)
                withUnsafeBytes(of: entry.time?.microseconds ?? 0) { $0.forEach(add) }
                continue
            }
        }
        return isSuspect ? fingerprint : nil
    }
}

extension OwnerReference {
    /// Whether an AgentPool is named, of any version of the API.
    var isPool: Bool {
        kind == AgentPool.kind && apiVersion.hasPrefix("\(AgentPool.group)/")
    }
}

/// The annotations that applied children carry beside what their builders write and the digest.
enum ChildAnnotation {
    /// On a Deployment: whether the pool fixes its replicas (`pool`) or an autoscaler does (`autoscaler`).
    static let replicasBy = "agentpool.dev/replicas-by"
}

enum FieldManager {
    /// Owns the replicas of a Deployment from the moment in which an autoscaler takes them over.
    static let handover = "agentpool-handover"
}

/// Versions of objects are opaque but for their order, which holds where both are numbers.
enum ResourceVersion {
    static func isOlder(_ version: String, than other: String) -> Bool {
        guard let left = UInt64(version), let right = UInt64(other) else { return false }
        return left < right
    }
}

/// What is remembered of an AgentPool object: its manifest as compact bytes, and what its status said last.
import Kubernetes
import PoolAPI

struct PoolRecord: Sendable, Equatable {
    var uid: ObjectUID
    var resourceVersion: String
    var generation: Int
    var finalizers: [String]
    var deletedAt: Timestamp?
    /// The object as `AgentPool.decode` takes it, without what the API server adds.
    var manifest: [UInt8]
    var status: StatusRecord

    var isBeingDeleted: Bool { deletedAt != nil }
}

/// An AgentPool as the API server sends it, its spec not read yet.
struct PoolObject: Sendable {
    var metadata: ObjectMeta
    var record: PoolRecord

    /// - Throws: Where the text has no metadata that can be read.
    init(_ object: JSONSlice) throws {
        let metadata = try ObjectHeader(object).metadata
        self.metadata = metadata
        let head: JSONValue = [
            "name": .string(metadata.name), "namespace": .string(metadata.namespace ?? "default"),
        ]
        var manifest = Array(#"{"apiVersion":"\#(AgentPool.apiVersion)","kind":"\#(AgentPool.kind)","#.utf8)
        manifest += Array(#""metadata":"#.utf8) + head.bytes()
        manifest += Array(#","spec":"#.utf8) + (object["spec"]?.bytes ?? ArraySlice("{}".utf8))
        manifest.append(UInt8(ascii: "}"))
        // A status of another version's form is written anew rather than trusted.
        let status = try? object["status"]?.decoded(as: AgentPoolStatus.self)
        record = PoolRecord(
            uid: ObjectUID(metadata.uid), resourceVersion: metadata.resourceVersion,
            generation: metadata.generation, finalizers: metadata.finalizers,
            deletedAt: metadata.deletionTimestamp, manifest: manifest,
            status: StatusRecord(status ?? AgentPoolStatus()))
    }
}

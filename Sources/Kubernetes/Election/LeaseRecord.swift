/// The `Lease` object as an election reads and writes it.

/// Who holds a lease, and since when.
public struct LeaseRecord: Sendable, Equatable {
    /// Empty where nobody does.
    public var holder: String
    public var durationSeconds: Int
    public var acquireTime: Timestamp?
    public var renewTime: Timestamp?
    /// How often the holder changed.
    public var transitions: Int

    public init(
        holder: String, durationSeconds: Int, acquireTime: Timestamp? = nil, renewTime: Timestamp? = nil,
        transitions: Int = 0
    ) {
        self.holder = holder
        self.durationSeconds = durationSeconds
        self.acquireTime = acquireTime
        self.renewTime = renewTime
        self.transitions = transitions
    }

    /// The object to create, or, with a resource version, to put in the place of that very version.
    func manifest(name: String, namespace: String, resourceVersion: String?) -> [UInt8] {
        var metadata = [("name", name), ("namespace", namespace)]
        if let resourceVersion { metadata.append(("resourceVersion", resourceVersion)) }
        var spec = [
            ("holderIdentity", holder.jsonQuoted), ("leaseDurationSeconds", String(durationSeconds)),
            ("leaseTransitions", String(transitions)),
        ]
        if let acquireTime { spec.append(("acquireTime", acquireTime.inMicroseconds.jsonQuoted)) }
        if let renewTime { spec.append(("renewTime", renewTime.inMicroseconds.jsonQuoted)) }
        let inMetadata = metadata.map { "\"\($0)\":\($1.jsonQuoted)" }.joined(separator: ",")
        let inSpec = spec.map { "\"\($0)\":\($1)" }.joined(separator: ",")
        let text =
            "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\(inMetadata)},"
            + "\"spec\":{\(inSpec)}}"
        return Array(text.utf8)
    }
}

/// A lease as the server has it.
public struct StoredLease: Sendable, Equatable, Decodable {
    public var record: LeaseRecord
    public var resourceVersion: String

    public init(record: LeaseRecord, resourceVersion: String) {
        self.record = record
        self.resourceVersion = resourceVersion
    }

    private enum CodingKeys: String, CodingKey { case metadata, spec }

    private struct Metadata: Decodable { var resourceVersion: String }

    private struct Spec: Decodable {
        var holderIdentity: String?
        var leaseDurationSeconds: Int?
        var acquireTime: Timestamp?
        var renewTime: Timestamp?
        var leaseTransitions: Int?
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        resourceVersion = try container.decode(Metadata.self, forKey: .metadata).resourceVersion
        let spec = try container.decodeIfPresent(Spec.self, forKey: .spec)
        record = LeaseRecord(
            holder: spec?.holderIdentity ?? "", durationSeconds: spec?.leaseDurationSeconds ?? 0,
            acquireTime: spec?.acquireTime, renewTime: spec?.renewTime,
            transitions: spec?.leaseTransitions ?? 0)
    }
}

/// The part of an object's metadata that a controller decides by; everything else is skipped when it is read.

public struct ObjectMeta: Decodable, Sendable, Hashable {
    public var name: String
    /// Nil for objects outside of any namespace.
    public var namespace: String?
    public var uid: String
    public var resourceVersion: String
    /// Counts the changes of the spec; 0 where a kind doesn't count them.
    public var generation: Int
    public var labels: [String: String]
    public var annotations: [String: String]
    public var finalizers: [String]
    public var ownerReferences: [OwnerReference]
    public var creationTimestamp: Timestamp?
    /// Set once the deletion has been asked for.
    public var deletionTimestamp: Timestamp?
    public var managedFields: [ManagedFieldsEntry]

    public init(
        name: String, namespace: String? = nil, uid: String = "", resourceVersion: String = "",
        generation: Int = 0, labels: [String: String] = [:], annotations: [String: String] = [:],
        finalizers: [String] = [], ownerReferences: [OwnerReference] = [],
        creationTimestamp: Timestamp? = nil, deletionTimestamp: Timestamp? = nil,
        managedFields: [ManagedFieldsEntry] = []
    ) {
        self.name = name
        self.namespace = namespace
        self.uid = uid
        self.resourceVersion = resourceVersion
        self.generation = generation
        self.labels = labels
        self.annotations = annotations
        self.finalizers = finalizers
        self.ownerReferences = ownerReferences
        self.creationTimestamp = creationTimestamp
        self.deletionTimestamp = deletionTimestamp
        self.managedFields = managedFields
    }

    private enum CodingKeys: String, CodingKey {
        case name, namespace, uid, resourceVersion, generation, labels, annotations, finalizers
        case ownerReferences, creationTimestamp, deletionTimestamp, managedFields
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        namespace = try container.decodeIfPresent(String.self, forKey: .namespace)
        uid = try container.decodeIfPresent(String.self, forKey: .uid) ?? ""
        resourceVersion = try container.decodeIfPresent(String.self, forKey: .resourceVersion) ?? ""
        generation = try container.decodeIfPresent(Int.self, forKey: .generation) ?? 0
        labels = try container.decodeIfPresent([String: String].self, forKey: .labels) ?? [:]
        annotations = try container.decodeIfPresent([String: String].self, forKey: .annotations) ?? [:]
        finalizers = try container.decodeIfPresent([String].self, forKey: .finalizers) ?? []
        ownerReferences =
            try container.decodeIfPresent([OwnerReference].self, forKey: .ownerReferences) ?? []
        creationTimestamp = try container.decodeIfPresent(Timestamp.self, forKey: .creationTimestamp)
        deletionTimestamp = try container.decodeIfPresent(Timestamp.self, forKey: .deletionTimestamp)
        managedFields =
            try container.decodeIfPresent([ManagedFieldsEntry].self, forKey: .managedFields) ?? []
    }

    /// The owner that is in charge of the object, if one is.
    public var controller: OwnerReference? { ownerReferences.first { $0.controller } }
}

/// An object that another belongs to.
public struct OwnerReference: Decodable, Sendable, Hashable {
    public var apiVersion: String
    public var kind: String
    public var name: String
    public var uid: String
    public var controller: Bool

    public init(apiVersion: String, kind: String, name: String, uid: String, controller: Bool = true) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.name = name
        self.uid = uid
        self.controller = controller
    }

    private enum CodingKeys: String, CodingKey {
        case apiVersion, kind, name, uid, controller
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        apiVersion = try container.decode(String.self, forKey: .apiVersion)
        kind = try container.decode(String.self, forKey: .kind)
        name = try container.decode(String.self, forKey: .name)
        uid = try container.decode(String.self, forKey: .uid)
        controller = try container.decodeIfPresent(Bool.self, forKey: .controller) ?? false
    }
}

/// Who wrote to an object and when; which fields is left out, for it is the larger part of most objects.
public struct ManagedFieldsEntry: Decodable, Sendable, Hashable {
    public var manager: String
    /// `Apply` or `Update`.
    public var operation: String
    /// Such as `status`; empty for the object itself.
    public var subresource: String
    public var time: Timestamp?

    public init(manager: String, operation: String, subresource: String = "", time: Timestamp? = nil) {
        self.manager = manager
        self.operation = operation
        self.subresource = subresource
        self.time = time
    }

    private enum CodingKeys: String, CodingKey {
        case manager, operation, subresource, time
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        manager = try container.decodeIfPresent(String.self, forKey: .manager) ?? ""
        operation = try container.decodeIfPresent(String.self, forKey: .operation) ?? ""
        subresource = try container.decodeIfPresent(String.self, forKey: .subresource) ?? ""
        time = try container.decodeIfPresent(Timestamp.self, forKey: .time)
    }
}

/// An object of which only the metadata was asked for or is read.
public struct ObjectHeader: Decodable, Sendable, Hashable {
    public var metadata: ObjectMeta

    public init(metadata: ObjectMeta) {
        self.metadata = metadata
    }

    /// The same as decoding it, at a quarter of the cost.
    public init(_ object: JSONSlice) throws {
        guard let metadata = object["metadata"] else {
            throw ObjectMeta.Unreadable(description: "there are no metadata")
        }
        self.metadata = try ObjectMeta(metadata)
    }
}

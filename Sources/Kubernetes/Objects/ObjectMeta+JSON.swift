// Metadata straight from their JSON: a watch brings thousands of objects, and decoding them costs four times as much.

extension ObjectMeta {
    /// What could not be read of an object's metadata.
    public struct Unreadable: Error, Sendable, Equatable, CustomStringConvertible {
        public var description: String
    }

    /// - Parameter metadata: the value of an object's `metadata`.
    public init(_ metadata: JSONSlice) throws {
        self.init(name: "")
        try metadata.forEachMember { name, value in
            switch Field(name) {
            case nil: break
            case .name: self.name = try value.text("name")
            case .namespace: namespace = try value.text("namespace")
            case .uid: uid = try value.text("uid")
            case .resourceVersion: resourceVersion = try value.text("resourceVersion")
            case .generation:
                guard let count = value.integer else {
                    throw Unreadable(description: "generation is no number")
                }
                generation = count
            case .labels: labels = try value.texts("labels")
            case .annotations: annotations = try value.texts("annotations")
            case .finalizers: finalizers = try value.elements.map { try $0.text("finalizers") }
            case .ownerReferences: ownerReferences = try value.elements.map { try OwnerReference($0) }
            case .creationTimestamp: creationTimestamp = try value.moment("creationTimestamp")
            case .deletionTimestamp: deletionTimestamp = try value.moment("deletionTimestamp")
            case .managedFields: managedFields = try value.elements.map { try ManagedFieldsEntry($0) }
            }
        }
        if name.isEmpty { throw Unreadable(description: "there is no name") }
    }

    private enum Field {
        case name, namespace, uid, resourceVersion, generation, labels, annotations, finalizers
        case ownerReferences, creationTimestamp, deletionTimestamp, managedFields

        init?(_ name: ArraySlice<UInt8>) {
            // By length first, so that one comparison decides.
            let (expected, field): (StaticString, Field)
            switch name.count {
            case 3: (expected, field) = ("uid", .uid)
            case 4: (expected, field) = ("name", .name)
            case 6: (expected, field) = ("labels", .labels)
            case 9: (expected, field) = ("namespace", .namespace)
            case 10 where name.first == UInt8(ascii: "g"): (expected, field) = ("generation", .generation)
            case 10: (expected, field) = ("finalizers", .finalizers)
            case 11: (expected, field) = ("annotations", .annotations)
            case 13: (expected, field) = ("managedFields", .managedFields)
            case 15 where name.first == UInt8(ascii: "r"):
                (expected, field) = ("resourceVersion", .resourceVersion)
            case 15: (expected, field) = ("ownerReferences", .ownerReferences)
            case 17 where name.first == UInt8(ascii: "c"):
                (expected, field) = ("creationTimestamp", .creationTimestamp)
            case 17: (expected, field) = ("deletionTimestamp", .deletionTimestamp)
            default: return nil
            }
            guard name.isEqual(expected) else { return nil }
            self = field
        }
    }
}

extension OwnerReference {
    fileprivate init(_ json: JSONSlice) throws {
        self.init(apiVersion: "", kind: "", name: "", uid: "", controller: false)
        try json.forEachMember { name, value in
            if name.isEqual("apiVersion") {
                apiVersion = try value.text("apiVersion")
            } else if name.isEqual("kind") {
                kind = try value.text("kind")
            } else if name.isEqual("name") {
                self.name = try value.text("name")
            } else if name.isEqual("uid") {
                uid = try value.text("uid")
            } else if name.isEqual("controller") {
                controller = value.isTrue
            }
        }
    }
}

extension ManagedFieldsEntry {
    fileprivate init(_ json: JSONSlice) throws {
        self.init(manager: "", operation: "")
        try json.forEachMember { name, value in
            if name.isEqual("manager") {
                manager = try value.text("manager")
            } else if name.isEqual("operation") {
                operation = try value.text("operation")
            } else if name.isEqual("subresource") {
                subresource = try value.text("subresource")
            } else if name.isEqual("time") {
                time = try value.moment("time")
            }
        }
    }
}

extension JSONSlice {
    fileprivate func text(_ field: StaticString) throws -> String {
        guard let string else { throw ObjectMeta.Unreadable(description: "\(field) is no text") }
        return string
    }

    fileprivate func texts(_ field: StaticString) throws -> [String: String] {
        var all: [String: String] = [:]
        try forEachMember { name, value in
            if let name = text(ofName: name) { all[name] = try value.text(field) }
        }
        return all
    }

    fileprivate func moment(_ field: StaticString) throws -> Timestamp {
        guard let moment = Timestamp(try text(field)) else {
            throw ObjectMeta.Unreadable(description: "\(field) is no moment")
        }
        return moment
    }
}

extension ArraySlice<UInt8> {
    fileprivate func isEqual(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount
            && withUnsafeBufferPointer { bytes in
                bytes.elementsEqual(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
            }
    }
}

/// Who owns which fields of an object, and what a server-side apply makes of it: merge, removal, conflicts.
import PoolAPI

struct FieldManagers: Equatable, Sendable {
    struct Entry: Equatable, Sendable {
        var manager: String
        /// `Apply` or `Update`.
        var operation: String
        var subresource: String
        var apiVersion: String
        var time: String
        var fields: FieldSet

        func isOf(_ writer: Writer) -> Bool {
            manager == writer.manager && operation == writer.operation && subresource == writer.subresource
        }

        var json: JSONValue {
            var members: [String: JSONValue] = [
                "manager": .string(manager), "operation": .string(operation),
                "apiVersion": .string(apiVersion), "time": .string(time), "fieldsType": "FieldsV1",
                "fieldsV1": fields.json,
            ]
            if !subresource.isEmpty { members["subresource"] = .string(subresource) }
            return .object(members)
        }
    }

    /// Who writes, and by which operation.
    struct Writer: Equatable, Sendable {
        var manager: String
        var operation: String
        var subresource: String
        var apiVersion: String
        var time: String
    }

    private(set) var entries: [Entry] = []

    var json: JSONValue { .array(entries.map(\.json)) }

    /// A write that was no apply: the writer owns what it changed, and others no longer do.
    mutating func updated(from before: JSONValue?, to after: JSONValue, by writer: Writer, rules: ListRules) {
        let old = before.map { Self.owned($0, subresource: writer.subresource) }
        let new = Self.owned(after, subresource: writer.subresource)
        let all = FieldSet.all(of: new, field: "", rules: rules)
        let mine = all.changed(from: old, to: new, field: "", rules: rules)
        disown(from: old, to: new, rules: rules)
        guard !mine.isEmpty else { return }
        if let index = entries.firstIndex(where: { $0.isOf(writer) }) {
            entries[index].fields = entries[index].fields.union(mine)
            entries[index].time = writer.time
        } else {
            entries.append(Entry(writer, fields: mine))
        }
    }

    /// The object after an apply of `config`; nil where nothing changes, neither it nor who owns what.
    mutating func applied(
        _ config: JSONValue, to live: JSONValue?, by writer: Writer, force: Bool, rules: ListRules,
        what: String
    ) throws(APIStatus) -> JSONValue? {
        let before = self
        let config = Self.owned(config, subresource: writer.subresource)
        let old = live.map { Self.owned($0, subresource: writer.subresource) } ?? .object([:])
        let wanted = FieldSet.all(of: config, field: "", rules: rules)
        let index = entries.firstIndex { $0.isOf(writer) }
        let previous = index.map { entries[$0].fields } ?? FieldSet()
        var kept = wanted
        for entry in entries where !entry.isOf(writer) { kept = kept.union(entry.fields) }
        var merged = Self.merge(config, over: old, field: "", rules: rules)
        let gone = previous.subtracting(wanted)
        merged = gone.removed(from: merged, kept: kept, field: "", rules: rules) ?? .object([:])
        if !force {
            let causes = conflicts(of: wanted, from: old, to: merged, by: writer, rules: rules)
            guard causes.isEmpty else {
                throw APIStatus(
                    code: 409, reason: "Conflict",
                    message: "Apply failed with \(causes.count) conflicts on \(what)", causes: causes)
            }
        }
        disown(from: old, to: merged, but: writer, rules: rules)
        var entry = Entry(writer, fields: wanted)
        if let index {
            if merged == old, previous == wanted { entry.time = entries[index].time }
            // The index may have moved: entries without fields were dropped.
            if let now = entries.firstIndex(where: { $0.isOf(writer) }) { entries[now] = entry }
        } else {
            entries.append(entry)
        }
        if live != nil, merged == old, self == before { return nil }
        return Self.put(merged, into: live ?? config, subresource: writer.subresource)
    }

    /// The fields that an apply would change though others own them.
    private func conflicts(
        of wanted: FieldSet, from old: JSONValue, to new: JSONValue, by writer: Writer, rules: ListRules
    ) -> [(type: String, field: String, message: String)] {
        entries.filter { !$0.isOf(writer) }.flatMap { entry in
            entry.fields.intersection(wanted).changed(from: old, to: new, field: "", rules: rules).paths()
                .map { ("FieldManagerConflict", $0, "conflict with \"\(entry.manager)\"") }
        }
    }

    /// Takes the fields that changed from all managers but one.
    private mutating func disown(
        from old: JSONValue?, to new: JSONValue, but writer: Writer? = nil, rules: ListRules
    ) {
        for index in entries.indices where !(writer.map(entries[index].isOf) ?? false) {
            let lost = entries[index].fields.changed(from: old, to: new, field: "", rules: rules)
            entries[index].fields = entries[index].fields.subtracting(lost)
        }
        entries.removeAll { entry in entry.fields.isEmpty && !(writer.map(entry.isOf) ?? false) }
    }

    private static func merge(
        _ config: JSONValue, over live: JSONValue?, field: String, rules: ListRules
    ) -> JSONValue {
        switch (config, live) {
        case (.object(let wanted), .object(var members)):
            guard !rules.isAtomic(field) else { return config }
            for (name, member) in wanted {
                members[name] = merge(member, over: members[name], field: name, rules: rules)
            }
            return .object(members)
        case (.array(let wanted), .array(let items)):
            let shape = rules.shape(of: field, items: wanted + items)
            guard shape != .atomic else { return config }
            var merged = items
            for item in wanted {
                let key = shape.key(of: item)
                if let index = merged.firstIndex(where: { shape.key(of: $0) == key }) {
                    merged[index] = merge(item, over: merged[index], field: "", rules: rules)
                } else {
                    merged.append(item)
                }
            }
            return .array(merged)
        default: return config
        }
    }

    /// The part of an object that has owners: all but its identity, and of status only what a status write may touch.
    private static func owned(_ object: JSONValue, subresource: String) -> JSONValue {
        if subresource == "status" { return .object(["status": object["status"] ?? .object([:])]) }
        var members = object.members
        for name in ["apiVersion", "kind", "status"] { members[name] = nil }
        var metadata = members["metadata"]?.members ?? [:]
        for name in identity { metadata[name] = nil }
        members["metadata"] = metadata.isEmpty ? nil : .object(metadata)
        return .object(members)
    }

    private static func put(_ owned: JSONValue, into object: JSONValue, subresource: String) -> JSONValue {
        guard subresource != "status" else {
            var object = object
            object["status"] = owned["status"]
            return object
        }
        var members = owned.members
        for name in ["apiVersion", "kind", "status"] { members[name] = object[name] }
        var metadata = members["metadata"]?.members ?? [:]
        for name in identity { metadata[name] = object["metadata"]?[name] }
        members["metadata"] = .object(metadata)
        return .object(members)
    }

    static let identity = [
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "managedFields", "selfLink", "generateName",
    ]
}

extension FieldManagers.Entry {
    fileprivate init(_ writer: FieldManagers.Writer, fields: FieldSet) {
        self.init(
            manager: writer.manager, operation: writer.operation, subresource: writer.subresource,
            apiVersion: writer.apiVersion, time: writer.time, fields: fields)
    }
}

/// The fields of an object that a manager owns: a tree with the names that managedFields writes.
import PoolAPI

struct FieldSet: Equatable, Sendable {
    /// Whether the path that leads here is itself owned: a leaf, or an item of a keyed list.
    var isMember = false
    /// By `f:name` for a field, `k:{...}` for an item of a keyed list, `v:...` for one of a set.
    var children: [String: FieldSet] = [:]

    var isEmpty: Bool { !isMember && children.isEmpty }

    /// All that `value` holds, which stands under the field `field`.
    static func all(of value: JSONValue, field: String, rules: ListRules) -> FieldSet {
        switch value {
        case .object(let members):
            guard !members.isEmpty, !rules.isAtomic(field) else { return FieldSet(isMember: true) }
            return FieldSet(
                children: Dictionary(
                    uniqueKeysWithValues: members.map {
                        ("f:\($0.key)", all(of: $0.value, field: $0.key, rules: rules))
                    }))
        case .array(let items):
            let shape = rules.shape(of: field, items: items)
            guard !items.isEmpty, shape != .atomic else { return FieldSet(isMember: true) }
            var set = FieldSet()
            for item in items {
                var child = FieldSet(isMember: true)
                if case .keyed = shape { child.children = all(of: item, field: "", rules: rules).children }
                set.children[shape.key(of: item)] = child
            }
            return set
        default: return FieldSet(isMember: true)
        }
    }

    /// Without the members of `other`.
    func subtracting(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(isMember: isMember && !other.isMember)
        for (key, child) in children {
            let rest = other.children[key].map { child.subtracting($0) } ?? child
            if !rest.isEmpty { result.children[key] = rest }
        }
        return result
    }

    func union(_ other: FieldSet) -> FieldSet {
        FieldSet(
            isMember: isMember || other.isMember,
            children: children.merging(other.children) { $0.union($1) })
    }

    func intersection(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(isMember: isMember && other.isMember)
        for (key, child) in children {
            guard let rest = other.children[key].map({ child.intersection($0) }), !rest.isEmpty else {
                continue
            }
            result.children[key] = rest
        }
        return result
    }

    /// The members whose value in `after` is another than in `before`.
    func changed(from before: JSONValue?, to after: JSONValue?, field: String, rules: ListRules) -> FieldSet {
        if before == after { return FieldSet() }
        var result = FieldSet(isMember: isMember && (children.isEmpty || before == nil || after == nil))
        guard !children.isEmpty else { return result }
        let old = Parts(of: before, field: field, rules: rules)
        let new = Parts(of: after, field: field, rules: rules)
        for (key, child) in children {
            let field = key.hasPrefix("f:") ? String(key.dropFirst(2)) : ""
            let rest = child.changed(from: old[key], to: new[key], field: field, rules: rules)
            if !rest.isEmpty { result.children[key] = rest }
        }
        return result
    }

    /// `value` without the members of this set; what only `kept` holds together stays.
    func removed(from value: JSONValue, kept: FieldSet, field: String, rules: ListRules) -> JSONValue? {
        if isMember, kept.isEmpty { return nil }
        switch value {
        case .object(var members):
            for (key, child) in children {
                let name = String(key.dropFirst(2))
                guard let member = members[name] else { continue }
                // A field of which nobody holds anything any more goes whole, with the defaults that it was filled up with.
                let keptChild = kept.children[key] ?? FieldSet()
                members[name] =
                    keptChild.isEmpty
                    ? nil : child.removed(from: member, kept: keptChild, field: name, rules: rules)
            }
            return members.isEmpty && kept.isEmpty ? nil : .object(members)
        case .array(let items):
            let shape = rules.shape(of: field, items: items)
            guard shape != .atomic else { return value }
            let rest = items.compactMap { item -> JSONValue? in
                let key = shape.key(of: item)
                guard let child = children[key] else { return item }
                return child.removed(
                    from: item, kept: kept.children[key] ?? FieldSet(), field: "", rules: rules)
            }
            return rest.isEmpty && kept.isEmpty ? nil : .array(rest)
        default: return value
        }
    }

    /// The members as paths, such as `.spec.replicas`.
    func paths(under prefix: String = "") -> [String] {
        var all = isMember && children.isEmpty ? [prefix] : []
        for (key, child) in children {
            let step = key.hasPrefix("f:") ? ".\(key.dropFirst(2))" : "[\(key.dropFirst(2))]"
            all += child.paths(under: prefix + step)
        }
        return all
    }

    /// As `fieldsV1` writes it.
    var json: JSONValue {
        var members = children.mapValues(\.json)
        if isMember, !children.isEmpty { members["."] = .object([:]) }
        return .object(members)
    }
}

/// The members of an object, or the items of a keyed list, by the names that a field set uses.
struct Parts {
    private var parts: [String: JSONValue] = [:]

    init(of value: JSONValue?, field: String, rules: ListRules) {
        switch value {
        case .object(let members):
            for (name, member) in members { parts["f:\(name)"] = member }
        case .array(let items):
            let shape = rules.shape(of: field, items: items)
            guard shape != .atomic else { return }
            for item in items { parts[shape.key(of: item)] = item }
        default: break
        }
    }

    subscript(key: String) -> JSONValue? { parts[key] }
}

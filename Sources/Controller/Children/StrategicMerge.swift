/// Kubernetes' strategic merge of a partial pod template: maps merge, lists merge by their key where they have one, else the patch's
/// list takes the other's place. `$patch: delete` and `$patch: replace` are honoured, and null takes a field away.
import PoolAPI

struct StrategicMerge {
    static let directive = "$patch"

    private(set) var problems: [ManifestError.Problem] = []

    /// By a list's name: the field that makes two of its entries the same, as the types of Kubernetes' API declare it.
    private static let keys = [
        "containers": "name", "initContainers": "name", "ephemeralContainers": "name", "volumes": "name",
        "imagePullSecrets": "name", "resourceClaims": "name", "schedulingGates": "name", "hostAliases": "ip",
        "topologySpreadConstraints": "topologyKey", "env": "name", "ports": "containerPort",
        "volumeMounts": "mountPath", "volumeDevices": "devicePath",
    ]

    /// Fields of which an object may have one: a patch that gives one of them takes away the others.
    private static let alternatives: [Set<String>] = [
        ["exec", "httpGet", "tcpSocket", "grpc", "sleep"], ["value", "valueFrom"],
    ]

    /// What becomes of `base` under `patch`, which stands at `path` of the pool's manifest.
    mutating func merge(_ patch: JSONValue, over base: JSONValue?, at path: String) -> JSONValue {
        switch (patch, base) {
        case (.object(let changes), .object(let members)?):
            return merge(changes, over: members, at: path)
        case (.object(let changes), nil), (.object(let changes), .null?):
            return merge(changes, over: [:], at: path)
        case (.object, _?):
            report(path, "expected no object here", "write the kind of value that a pod template has")
            return patch
        case (_, .object?):
            report(path, "expected an object", "write its fields below it")
            return patch
        default:
            return patch
        }
    }

    private mutating func merge(
        _ changes: [String: JSONValue], over members: [String: JSONValue], at path: String
    ) -> JSONValue {
        var result = members
        switch changes[Self.directive] {
        case nil, "merge"?: break
        case "replace"?: result = [:]
        case "delete"?: return .null
        default: report("\(path).\(Self.directive)", "is no directive", "write delete, replace or merge")
        }
        if case .array(let retained)? = changes["$retainKeys"] {
            result = result.filter { retained.contains(.string($0.key)) }
        }
        for group in Self.alternatives where !group.isDisjoint(with: changes.keys) {
            result = result.filter { !group.contains($0.key) || changes[$0.key] != nil }
        }
        for (name, change) in changes.sorted(by: { $0.key < $1.key }) where !name.hasPrefix("$") {
            let place = "\(path).\(name)"
            if change == .null {
                result[name] = nil
            } else if let key = Self.keys[name] {
                result[name] = mergeList(change, over: result[name], named: name, by: key, at: place)
            } else if case .array? = result[name], case .array = change {
                result[name] = change
            } else {
                result[name] = merge(change, over: result[name], at: place)
            }
            if result[name] == .null { result[name] = nil }
        }
        return .object(result)
    }

    private mutating func mergeList(
        _ patch: JSONValue, over base: JSONValue?, named list: String, by key: String, at path: String
    ) -> JSONValue {
        guard case .array(let changes) = patch else {
            report(path, "expected a list", "write its entries below it, each with \(key)")
            return patch
        }
        var result: [JSONValue] = if case .array(let items)? = base { items } else { [] }
        // One entry with nothing but the directive means the whole list.
        if changes.contains([Self.directive: "replace"]) { result = [] }
        for (index, change) in changes.enumerated() where change != [Self.directive: "replace"] {
            let place = "\(path)[\(index)]"
            guard case .object(let fields) = change else {
                report(place, "expected an object", "write it as an object with \(key)")
                continue
            }
            guard let identity = fields[key], identity != .null else {
                report(place, "has no \(key), by which the list is merged", "add \(key)")
                continue
            }
            let position = result.firstIndex { $0[key] == identity }
            if fields[Self.directive] == "delete" {
                if let position { result.remove(at: position) }
                continue
            }
            var old = position.map { result[$0] }
            // A volume has one source: another one takes the place of ours.
            if list == "volumes", fields.count > 1, case .object(let members)? = old {
                old = .object(members.filter { fields[$0.key] != nil })
            }
            let merged = merge(change, over: old, at: place)
            if let position { result[position] = merged } else { result.append(merged) }
        }
        return .array(result)
    }

    private mutating func report(_ path: String, _ message: String, _ mend: String) {
        problems.append(.init(path: path, message: message, mend: mend))
    }
}

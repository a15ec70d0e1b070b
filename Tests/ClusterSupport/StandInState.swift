/// All that the stand-in holds, and the answer that it has for a call: no sockets, no clock but for timestamps.
import Foundation
import PoolAPI

/// One write that reached the stand-in.
public struct AuditedWrite: Sendable, Codable {
    /// When it was carried out, in seconds since 1970.
    public var time: Double
    /// The token that it came with.
    public var user: String
    public var method: String
    public var path: String
    public var manager: String
    /// What was answered, or would have been.
    public var code: Int
    /// The last resource version after it.
    public var version: Int
}

enum Answer {
    case document(code: Int, bytes: [UInt8], retryAfter: Int? = nil)
    case watch(WatchRequest)
    case hang
    /// The connection ends amid the answer.
    case nothing
}

struct WatchRequest: Sendable {
    var resource: ServedResource
    var namespace: String?
    var selectors: Selectors
    var wantsBookmarks: Bool
    var wantsMetadata: Bool
    /// Seconds.
    var timeout: Int
    /// Lines to send at once.
    var first: [[UInt8]]
}

struct StandInState: Sendable {
    var store = ObjectStore()
    var faults = StatedFaults()
    var audit: [AuditedWrite] = []
    /// Calls by method and what they are about, watches apart.
    var calls = 0

    static let auditLimit = 1_000_000

    mutating func answer(_ call: APICall) -> Answer {
        calls += 1
        let fault = call.path.hasPrefix("/api") ? faults.fault(method: call.method, path: call.path) : nil
        switch fault?.effect {
        case .refuse:
            let status = APIStatus(
                code: fault?.code ?? 500, reason: "Stated", message: "a stated fault",
                retryAfter: fault?.retryAfter)
            return .document(
                code: status.code, bytes: JSONBytes.write(status.json), retryAfter: status.retryAfter)
        case .hang: return .hang
        case .loseAnswer:
            _ = carriedOut(call)
            return .nothing
        case nil: return carriedOut(call)
        }
    }

    private mutating func carriedOut(_ call: APICall) -> Answer {
        var answer: Answer
        do { answer = try result(call) } catch {
            answer = .document(
                code: error.code, bytes: JSONBytes.write(error.json), retryAfter: error.retryAfter)
        }
        if call.isWrite, !call.isDryRun, case .document(let code, _, _) = answer,
            audit.count < Self.auditLimit
        {
            audit.append(
                AuditedWrite(
                    time: Date.now.timeIntervalSince1970, user: call.token, method: call.method,
                    path: call.path,
                    manager: call.manager, code: code, version: store.version))
        }
        return answer
    }

    private mutating func result(_ call: APICall) throws(APIStatus) -> Answer {
        guard !call.token.isEmpty else {
            throw APIStatus(code: 401, reason: "Unauthorized", message: "Unauthorized")
        }
        if let document = discovery(call.path) {
            return .document(code: 200, bytes: JSONBytes.write(document))
        }
        guard let path = APIPath(call.path),
            let resource = store.resources[ResourceName(group: path.group, plural: path.plural)],
            resource.version == path.version,
            path.subresource.isEmpty || resource.subresources.contains(path.subresource)
        else { throw .notFound("the server could not find the requested resource \(call.path)") }
        guard let name = path.name else {
            switch call.method {
            case "GET" where call.isWatch: return .watch(try watch(resource, path.namespace, call))
            case "GET": return .document(code: 200, bytes: try list(resource, path.namespace, call))
            case "POST": return try create(resource, path.namespace ?? "", call)
            default: throw .notAllowed(call.method)
            }
        }
        let key = ObjectKey(namespace: path.namespace ?? "", name: name)
        switch call.method {
        case "GET":
            guard let object = store.object(resource, key) else { throw .notFound(resource.describe(name)) }
            return .document(code: 200, bytes: Self.shown(object, call))
        case "PUT", "PATCH": return try change(resource, key, path.subresource, call)
        case "DELETE": return try delete(resource, key, call)
        default: throw .notAllowed(call.method)
        }
    }

    private func discovery(_ path: String) -> JSONValue? {
        let discovery = Discovery(resources: Array(store.resources.values))
        let steps = path.split(separator: "/").map(String.init)
        switch (steps.first, steps.count) {
        case ("version", 1):
            return [
                "major": "1", "minor": "34", "gitVersion": "v1.34.0-stand-in", "platform": "linux/amd64",
            ]
        case ("livez", _), ("readyz", _), ("healthz", _): return "ok"
        case ("api", 1): return ["kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"]]
        case ("api", 2): return discovery.resources(group: "", version: steps[1])
        case ("apis", 1): return discovery.groups
        case ("apis", 2): return discovery.group(named: steps[1])
        case ("apis", 3): return discovery.resources(group: steps[1], version: steps[2])
        case ("openapi", _): return openAPI(Array(steps.dropFirst()))
        default: return nil
        }
    }

    /// `/openapi/v3/apis/GROUP/VERSION`: the schemas of custom resources, which is what clients look there for.
    private func openAPI(_ steps: [String]) -> JSONValue? {
        guard steps.count == 4, steps[0] == "v3", steps[1] == "apis" else { return nil }
        let served = store.resources.values.filter { $0.group == steps[2] && $0.version == steps[3] }
        guard !served.isEmpty else { return nil }
        let reversed = steps[2].split(separator: ".").reversed().joined(separator: ".")
        var schemas: [String: JSONValue] = [:]
        for resource in served {
            var schema = resource.schema ?? .object([:])
            schema["x-kubernetes-group-version-kind"] = [
                [
                    "group": .string(resource.group), "version": .string(resource.version),
                    "kind": .string(resource.kind),
                ]
            ]
            schemas["\(reversed).\(resource.version).\(resource.kind)"] = schema
        }
        return ["openapi": "3.0.0", "components": ["schemas": .object(schemas)]]
    }

    private mutating func list(
        _ resource: ServedResource, _ namespace: String?, _ call: APICall
    ) throws(APIStatus) -> [UInt8] {
        let page = try store.page(
            resource, in: namespace,
            matching: Selectors(labels: call.query["labelSelector"], fields: call.query["fieldSelector"]),
            limit: call.query["limit"].flatMap(Int.init) ?? 0,
            continuation: call.query["continue"].flatMap { $0.isEmpty ? nil : $0 })
        var metadata: [String: JSONValue] = ["resourceVersion": .string(String(page.version))]
        if let continuation = page.continuation {
            metadata["continue"] = .string(continuation)
            metadata["remainingItemCount"] = .integer(page.remaining)
        }
        let isPartial = call.wantsMetadata
        var bytes = Array(
            "{\"kind\":\"\(isPartial ? "PartialObjectMetadata" : resource.kind)List\",\"apiVersion\":\"".utf8)
        bytes += "\(isPartial ? "meta.k8s.io/v1" : resource.apiVersion)\",\"metadata\":".utf8
        JSONBytes.append(.object(metadata), to: &bytes)
        bytes += ",\"items\":[".utf8
        for (index, object) in page.objects.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += resource.schema == nil && !isPartial ? Self.untyped(object) : Self.shown(object, call)
        }
        bytes += "]}".utf8
        return bytes
    }

    /// As lists of the kinds that every cluster has hold their items: without kind and apiVersion.
    private static func untyped(_ object: StoredObject) -> [UInt8] {
        var value = object.value
        value["kind"] = nil
        value["apiVersion"] = nil
        value["metadata"]?["managedFields"] = object.managers.json
        return JSONBytes.write(value)
    }

    static func shown(_ object: StoredObject, _ call: APICall) -> [UInt8] {
        call.wantsMetadata ? partial(object) : object.bytes
    }

    static func partial(_ object: StoredObject) -> [UInt8] {
        var metadata = object.metadata ?? .object([:])
        metadata["managedFields"] = object.managers.json
        return JSONBytes.write([
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        ])
    }

    private mutating func create(
        _ resource: ServedResource, _ namespace: String, _ call: APICall
    ) throws(APIStatus) -> Answer {
        let body = try call.json()
        var name = body["metadata"]?["name"]?.text ?? ""
        if name.isEmpty, let prefix = body["metadata"]?["generateName"]?.text {
            name = prefix + String(UInt32.random(in: .min ... .max), radix: 36)
        }
        guard !name.isEmpty else {
            throw .invalid(
                resource.describe(""), field: "metadata.name",
                "Required value: name or generateName is required")
        }
        let (object, _) = try store.write(
            Write(method: .create, body: body, manager: call.manager, isDryRun: call.isDryRun), to: resource,
            ObjectKey(namespace: namespace, name: name))
        return .document(code: 201, bytes: object.bytes)
    }

    private mutating func change(
        _ resource: ServedResource, _ key: ObjectKey, _ subresource: String, _ call: APICall
    ) throws(APIStatus) -> Answer {
        let method: Write.Method
        switch (call.method, call.contentType) {
        case ("PUT", _): method = .replace
        case (_, "application/merge-patch+json"): method = .mergePatch
        case (_, "application/apply-patch+yaml"):
            guard call.query["fieldManager"] != nil else {
                throw .badRequest("fieldManager is required for apply patch")
            }
            method = .apply(force: call.query["force"] == "true")
        default: throw .unsupported(call.contentType)
        }
        let (object, isNew) = try store.write(
            Write(
                method: method, body: try call.json(), manager: call.manager, subresource: subresource,
                isDryRun: call.isDryRun), to: resource, key)
        return .document(code: isNew ? 201 : 200, bytes: object.bytes)
    }

    private mutating func delete(
        _ resource: ServedResource, _ key: ObjectKey, _ call: APICall
    ) throws(APIStatus) -> Answer {
        let options = try call.json()
        guard let object = store.object(resource, key) else { throw .notFound(resource.describe(key.name)) }
        if let uid = options["preconditions"]?["uid"]?.text, uid != object.uid {
            throw .conflict(
                resource.describe(key.name), "the UID in the precondition (\(uid)) does not match")
        }
        if let version = options["preconditions"]?["resourceVersion"]?.text, version != String(object.version)
        {
            throw .conflict(
                resource.describe(key.name), "the ResourceVersion in the precondition does not match")
        }
        guard !call.isDryRun else { return .document(code: 200, bytes: object.bytes) }
        return .document(code: 200, bytes: store.markDeleted(resource, key)?.bytes ?? object.bytes)
    }

    private func watch(
        _ resource: ServedResource, _ namespace: String?, _ call: APICall
    ) throws(APIStatus) -> WatchRequest {
        let selectors = try Selectors(
            labels: call.query["labelSelector"], fields: call.query["fieldSelector"])
        var watch = WatchRequest(
            resource: resource, namespace: namespace, selectors: selectors,
            wantsBookmarks: call.query["allowWatchBookmarks"] == "true", wantsMetadata: call.wantsMetadata,
            timeout: call.query["timeoutSeconds"].flatMap(Int.init) ?? 1800, first: [])
        let version = call.query["resourceVersion"] ?? ""
        if version.isEmpty || version == "0" {
            watch.first = store.objects(resource, in: namespace).filter { selectors.match($0.value) }
                .map { WatchLine.line("ADDED", watch.wantsMetadata ? Self.partial($0) : $0.bytes) }
        } else {
            guard let version = Int(version) else { throw .badRequest("no resource version: \(version)") }
            watch.first = try store.changes(after: version, of: resource.name).compactMap {
                WatchLine.line($0, to: watch)
            }
        }
        return watch
    }
}

/// The lines that a watch is told changes in.
enum WatchLine {
    static func line(_ type: String, _ object: [UInt8]) -> [UInt8] {
        Array("{\"type\":\"\(type)\",\"object\":".utf8) + object + Array("}\n".utf8)
    }

    /// nil where the change is none of this watch.
    static func line(_ change: Change, to watch: WatchRequest) -> [UInt8]? {
        guard change.resource == watch.resource.name,
            watch.namespace.map({ $0 == change.key.namespace }) ?? true
        else { return nil }
        let was = change.before.map(watch.selectors.match) ?? false
        let isNow = !change.isGone && watch.selectors.match(change.object.value)
        let type: String
        switch (was, isNow) {
        case (false, true): type = "ADDED"
        case (true, true): type = "MODIFIED"
        case (true, false): type = "DELETED"
        case (false, false): return nil
        }
        return line(type, watch.wantsMetadata ? StandInState.partial(change.object) : change.object.bytes)
    }

    static func bookmark(_ version: Int, _ resource: ServedResource) -> [UInt8] {
        line(
            "BOOKMARK",
            JSONBytes.write([
                "kind": .string(resource.kind), "apiVersion": .string(resource.apiVersion),
                "metadata": ["resourceVersion": .string(String(version)), "creationTimestamp": .null],
            ]))
    }

    static func error(_ status: APIStatus) -> [UInt8] { line("ERROR", JSONBytes.write(status.json)) }
}

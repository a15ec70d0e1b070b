/// One call of a cluster's API as a value: what is sent and how long it may take, but not to which server.

public struct APIRequest: Sendable, Equatable {
    public struct QueryItem: Sendable, Equatable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public var method: String
    /// Begins with `/`; its segments are percent-encoded.
    public var path: String
    /// In the order in which it is sent; not yet encoded.
    public var query: [QueryItem]
    public var body: [UInt8]?
    public var contentType: String?
    public var accept: String
    /// For the whole call, counted from its beginning: waiting for the rate limit and for a connection included.
    public var timeout: Duration
    /// How long the answer may bring nothing; nil for no limit but `timeout`.
    public var idleTimeout: Duration?

    public init(
        _ method: String, _ path: String, query: [QueryItem] = [], body: [UInt8]? = nil,
        contentType: String? = nil, accept: String = "application/json", timeout: Duration = .seconds(30),
        idleTimeout: Duration? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.body = body
        self.contentType = contentType
        self.accept = accept
        self.timeout = timeout
        self.idleTimeout = idleTimeout
    }

    /// Path and query as they are sent.
    public var target: String {
        guard !query.isEmpty else { return path }
        let items = query.map { "\($0.name.percentEncoded)=\($0.value.percentEncoded)" }
        return path + "?" + items.joined(separator: "&")
    }
}

// MARK: Reading

extension APIRequest {
    /// - Parameters:
    ///   - namespace: nil for all namespaces.
    ///   - labels: a label selector such as `app=a,!b`.
    ///   - limit: the most objects of the answer, which then names a continuation for the rest.
    ///   - metadataOnly: asks the server to leave out everything but the metadata; one that can't answers with all.
    public static func list(
        _ kind: ResourceKind, in namespace: String?, labels: String? = nil, limit: Int? = nil,
        continuation: String? = nil, metadataOnly: Bool = false
    ) -> APIRequest {
        var request = APIRequest("GET", path(kind, in: namespace))
        request.add("labelSelector", labels)
        request.add("limit", limit.map(String.init))
        request.add("continue", continuation)
        if metadataOnly { request.accept = accept(only: "PartialObjectMetadataList") }
        return request
    }

    /// Changes after `resourceVersion`, with bookmarks; the server ends the answer after `timeout`.
    public static func watch(
        _ kind: ResourceKind, in namespace: String?, labels: String? = nil, from resourceVersion: String,
        timeout: Duration = .seconds(300), metadataOnly: Bool = false
    ) -> APIRequest {
        var request = APIRequest("GET", path(kind, in: namespace))
        request.add("watch", "true")
        request.add("allowWatchBookmarks", "true")
        request.add("labelSelector", labels)
        request.add("resourceVersion", resourceVersion)
        request.add("timeoutSeconds", String(max(1, timeout.components.seconds)))
        if metadataOnly { request.accept = accept(only: "PartialObjectMetadata") }
        // The server's end comes first, unless it has gone away.
        request.timeout = timeout + .seconds(30)
        return request
    }

    public static func get(
        _ kind: ResourceKind, _ name: String, in namespace: String?, subresource: String? = nil,
        metadataOnly: Bool = false
    ) -> APIRequest {
        var request = APIRequest("GET", path(kind, name, in: namespace, subresource: subresource))
        if metadataOnly { request.accept = accept(only: "PartialObjectMetadata") }
        return request
    }

    /// The kinds of one group and version: an `APIResourceList`, or 404 where the server doesn't serve it.
    public static func discovery(group: String, version: String) -> APIRequest {
        APIRequest("GET", groupPath(group, version))
    }

    /// The versions of a group: an `APIGroup`, or 404 where the server doesn't serve it.
    public static func discovery(group: String) -> APIRequest {
        APIRequest("GET", "/apis/" + group.percentEncoded)
    }

    /// The schemas of one group and version, as OpenAPI 3. Megabytes for some groups.
    public static func schema(group: String, version: String) -> APIRequest {
        APIRequest("GET", "/openapi/v3" + groupPath(group, version))
    }

    public static let version = APIRequest("GET", "/version")
}

// MARK: Writing

extension APIRequest {
    /// What becomes of the objects that belong to a deleted one.
    public enum Propagation: String, Sendable {
        /// Deleted by the garbage collector afterwards.
        case background = "Background"
        /// Deleted first.
        case foreground = "Foreground"
        case orphan = "Orphan"
    }

    public static func create(
        _ kind: ResourceKind, in namespace: String?, body: [UInt8], manager: String? = nil,
        dryRun: Bool = false
    ) -> APIRequest {
        var request = APIRequest(
            "POST", path(kind, in: namespace), body: body, contentType: "application/json")
        request.addWriteOptions(manager, dryRun)
        return request
    }

    /// Puts `body` in the object's place; its resource version, where it has one, must still be the object's.
    public static func update(
        _ kind: ResourceKind, _ name: String, in namespace: String?, body: [UInt8], manager: String? = nil,
        subresource: String? = nil
    ) -> APIRequest {
        var request = APIRequest(
            "PUT", path(kind, name, in: namespace, subresource: subresource), body: body,
            contentType: "application/json")
        request.addWriteOptions(manager, false)
        return request
    }

    /// Server-side apply.
    ///
    /// - Parameters:
    ///   - manifest: the fields that `manager` wants, as JSON, with apiVersion, kind and name.
    ///   - force: takes over fields that other managers set otherwise, in place of a 409.
    ///   - subresource: such as `status` or `scale`.
    public static func apply(
        _ kind: ResourceKind, _ name: String, in namespace: String?, manifest: [UInt8], manager: String,
        force: Bool = true, dryRun: Bool = false, subresource: String? = nil
    ) -> APIRequest {
        var request = APIRequest(
            "PATCH", path(kind, name, in: namespace, subresource: subresource), body: manifest,
            contentType: "application/apply-patch+yaml")
        request.addWriteOptions(manager, dryRun)
        if force { request.add("force", "true") }
        return request
    }

    /// A JSON merge patch; a `uid` or `resourceVersion` in its metadata must be the object's.
    public static func mergePatch(
        _ kind: ResourceKind, _ name: String, in namespace: String?, patch: [UInt8], manager: String? = nil,
        dryRun: Bool = false, subresource: String? = nil
    ) -> APIRequest {
        var request = APIRequest(
            "PATCH", path(kind, name, in: namespace, subresource: subresource), body: patch,
            contentType: "application/merge-patch+json")
        request.addWriteOptions(manager, dryRun)
        return request
    }

    /// - Parameters:
    ///   - uid: deletes this very object only; 409 where another has its name by now.
    ///   - resourceVersion: deletes the object only as it was; 409 where it changed.
    public static func delete(
        _ kind: ResourceKind, _ name: String, in namespace: String?, uid: String? = nil,
        resourceVersion: String? = nil, propagation: Propagation = .background
    ) -> APIRequest {
        var body =
            #"{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"\#(propagation.rawValue)""#
        let preconditions = [("resourceVersion", resourceVersion), ("uid", uid)].compactMap { name, value in
            value.map { "\"\(name)\":\($0.jsonQuoted)" }
        }
        if !preconditions.isEmpty { body += ",\"preconditions\":{\(preconditions.joined(separator: ","))}" }
        body += "}"
        return APIRequest(
            "DELETE", path(kind, name, in: namespace), body: Array(body.utf8), contentType: "application/json"
        )
    }
}

// MARK: Parts

extension APIRequest {
    private mutating func add(_ name: String, _ value: String?) {
        if let value, !value.isEmpty { query.append(QueryItem(name, value)) }
    }

    private mutating func addWriteOptions(_ manager: String?, _ dryRun: Bool) {
        add("fieldManager", manager)
        if dryRun { add("dryRun", "All") }
    }

    private static func groupPath(_ group: String, _ version: String) -> String {
        group.isEmpty
            ? "/api/" + version.percentEncoded : "/apis/\(group.percentEncoded)/\(version.percentEncoded)"
    }

    private static func path(_ kind: ResourceKind, in namespace: String?) -> String {
        let root = groupPath(kind.group, kind.version)
        guard kind.isNamespaced, let namespace else { return "\(root)/\(kind.plural)" }
        return "\(root)/namespaces/\(namespace.percentEncoded)/\(kind.plural)"
    }

    private static func path(
        _ kind: ResourceKind, _ name: String, in namespace: String?, subresource: String? = nil
    ) -> String {
        let path = "\(path(kind, in: namespace))/\(name.percentEncoded)"
        return subresource.map { "\(path)/\($0.percentEncoded)" } ?? path
    }

    private static func accept(only kind: String) -> String {
        "application/json;as=\(kind);g=meta.k8s.io;v=v1,application/json"
    }
}

extension String {
    /// Everything but RFC 3986's unreserved characters is encoded, so it fits a path's segment and a query.
    fileprivate var percentEncoded: String {
        var encoded = ""
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return encoded
    }

    /// As a string of JSON.
    var jsonQuoted: String {
        var quoted = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\" + String(scalar)
            case "\u{0}"..."\u{1f}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

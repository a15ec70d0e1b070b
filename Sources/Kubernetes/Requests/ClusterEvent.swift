/// An `Event`: something that happened to an object, for people who look at it.

public struct ClusterEvent: Sendable, Equatable {
    public enum Severity: String, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// The object that an event is about.
    public struct Subject: Sendable, Hashable {
        public var kind: ResourceKind
        public var name: String
        /// Nil for an object outside of any namespace; its events are in `default`.
        public var namespace: String?
        public var uid: String

        public init(kind: ResourceKind, name: String, namespace: String?, uid: String) {
            self.kind = kind
            self.name = name
            self.namespace = namespace
            self.uid = uid
        }
    }

    public var subject: Subject
    public var severity: Severity
    /// One word in CamelCase, by which people and machines filter.
    public var reason: String
    /// What was done or tried, one word in CamelCase.
    public var action: String
    /// At most 1,024 bytes are sent, as many as the API takes.
    public var note: String
    public var time: Timestamp
    /// Of the reporting program, such as `agentpool.dev/controller`.
    public var controller: String
    /// Of the reporting process, as a pod's name.
    public var instance: String

    public init(
        _ subject: Subject, _ severity: Severity, reason: String, action: String, note: String,
        time: Timestamp, controller: String, instance: String
    ) {
        self.subject = subject
        self.severity = severity
        self.reason = reason
        self.action = action
        self.note = note
        self.time = time
        self.controller = controller
        self.instance = instance
    }

    /// Different for events of one object at different moments.
    public var name: String {
        "\(subject.name.prefix(200)).\(String(UInt64(bitPattern: time.microseconds), radix: 16))"
    }

    private var namespace: String { subject.namespace ?? "default" }

    public var creation: APIRequest {
        .create(.events, in: namespace, body: manifest)
    }

    /// Says of an event that is there already that it happened again.
    /// - Parameters:
    ///   - count: how often in all, 2 or more.
    ///   - last: when it happened last.
    public func repetition(count: Int, last: Timestamp) -> APIRequest {
        let patch = "{\"series\":{\"count\":\(count),\"lastObservedTime\":\"\(last.inMicroseconds)\"}}"
        return .mergePatch(.events, name, in: namespace, patch: Array(patch.utf8))
    }

    private var manifest: [UInt8] {
        func object(_ members: [(String, String)]) -> String {
            "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
        }
        var regarding = [
            ("apiVersion", subject.kind.apiVersion.jsonQuoted), ("kind", subject.kind.kind.jsonQuoted),
            ("name", subject.name.jsonQuoted), ("uid", subject.uid.jsonQuoted),
        ]
        if let namespace = subject.namespace { regarding.append(("namespace", namespace.jsonQuoted)) }
        let text = object([
            ("apiVersion", ResourceKind.events.apiVersion.jsonQuoted), ("kind", "\"Event\""),
            ("metadata", object([("name", name.jsonQuoted), ("namespace", namespace.jsonQuoted)])),
            ("type", severity.rawValue.jsonQuoted), ("reason", reason.jsonQuoted),
            ("action", action.jsonQuoted),
            ("note", note.cut(toBytes: 1024).jsonQuoted), ("eventTime", time.inMicroseconds.jsonQuoted),
            ("reportingController", controller.jsonQuoted), ("reportingInstance", instance.jsonQuoted),
            ("regarding", object(regarding)),
        ])
        return Array(text.utf8)
    }
}

extension String {
    /// As many whole characters as fit.
    fileprivate func cut(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var cut = ""
        var size = 0
        for character in self {
            size += character.utf8.count
            if size > limit { break }
            cut.append(character)
        }
        return cut
    }
}

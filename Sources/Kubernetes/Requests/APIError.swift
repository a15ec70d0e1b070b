/// Why a call of the API failed: what the server said of it, or why there is no answer. Holds no header and no token;
/// the message is the server's and may quote the object that was sent.

public struct APIError: Error, Sendable, Equatable {
    /// One thing that is wrong with the object that was sent.
    public struct Cause: Sendable, Equatable {
        /// Such as `spec.replicas`; empty where the server names none.
        public var field: String
        /// What kind of fault it is, such as `FieldValueInvalid`.
        public var reason: String
        public var message: String

        public init(field: String, reason: String = "", message: String) {
            self.field = field
            self.reason = reason
            self.message = message
        }
    }

    /// The HTTP status; 0 where there was no answer, or none that could be read.
    public var status: Int
    /// The server's word, such as `NotFound`; one of ``Unanswered`` where `status` is 0.
    public var reason: String
    /// At most 4,096 characters.
    public var message: String
    public var causes: [Cause]
    /// How long the server asks to be left alone.
    public var retryAfter: Duration?

    public init(
        status: Int, reason: String, message: String, causes: [Cause] = [], retryAfter: Duration? = nil
    ) {
        self.status = status
        self.reason = reason
        self.message = message.count > 4096 ? String(message.prefix(4096)) : message
        self.causes = causes
        self.retryAfter = retryAfter
    }

    /// The reasons of this client's own.
    public enum Unanswered {
        /// No connection, or one that broke off.
        public static let noAnswer = "NoAnswer"
        /// The server isn't trusted, or doesn't trust us.
        public static let tls = "TLS"
        public static let timeout = "ClientTimeout"
        public static let cancelled = "Cancelled"
        /// The rate limit would have held the request up for longer than it may take; nothing was sent.
        public static let throttled = "Throttled"
        /// The lease ran out before the request was sent; nothing was sent.
        public static let notLeading = "NotLeading"
        /// The answer isn't what the API answers.
        public static let malformed = "Malformed"
        /// The answer is over the client's bound.
        public static let tooLarge = "TooLarge"
        /// The request or the credentials can't be used; nothing was sent.
        public static let invalidRequest = "InvalidRequest"
    }

    public var isNotFound: Bool { status == 404 }
    /// The object changed meanwhile, or another manager owns a field; not that one of this name is there already.
    public var isConflict: Bool { status == 409 && !isAlreadyExists }
    public var isAlreadyExists: Bool { status == 409 && reason == "AlreadyExists" }
    /// The resource version, or the list's continuation, is too old.
    public var isExpired: Bool { status == 410 || reason == "Expired" || reason == "Gone" }
    public var isInvalid: Bool { status == 422 || status == 400 }
    public var isForbidden: Bool { status == 403 }
    public var isUnauthorized: Bool { status == 401 }
    /// The namespace is being deleted, so nothing can be created in it.
    public var isNamespaceTerminating: Bool {
        status == 403 && causes.contains { $0.reason == "NamespaceTerminating" }
    }
    public var isCancelled: Bool { status == 0 && reason == Unanswered.cancelled }
    public var isNotLeading: Bool { status == 0 && reason == Unanswered.notLeading }

    /// Whether the same request may succeed later, with nothing changed.
    public var isTransient: Bool {
        switch status {
        case 0:
            [
                Unanswered.noAnswer, Unanswered.tls, Unanswered.timeout, Unanswered.throttled,
                Unanswered.malformed,
            ]
            .contains(reason)
        case 401, 408, 429, 500...: true
        default: false
        }
    }
}

extension APIError: CustomStringConvertible {
    public var description: String {
        status == 0 ? message : "\(status) \(reason): \(message)"
    }
}

extension APIError {
    /// Reads a `Status`, the API's form of a failed answer; anything else comes from something between us and it.
    init(status: Int, body: [UInt8], retryAfter header: String?) {
        let text = JSONSlice(body)
        let seconds = header.flatMap { Int64($0) }
        guard text["kind"]?.string == "Status" else {
            self.init(
                status: status, reason: Self.word(for: status),
                message: "answered \(status) without saying why",
                retryAfter: seconds.map { .seconds($0) })
            return
        }
        self.init(status: status, object: text)
        if retryAfter == nil { retryAfter = seconds.map { .seconds($0) } }
    }

    /// - Parameter object: a `Status`.
    /// - Parameter status: the HTTP status, for an object that names none.
    init(status: Int, object: JSONSlice) {
        let details = object["details"]
        let number = { (slice: JSONSlice?) in
            slice.flatMap { Int(String(decoding: $0.bytes, as: UTF8.self)) }
        }
        let code = number(object["code"]) ?? status
        let reason = object["reason"]?.string ?? ""
        self.init(
            status: code, reason: reason.isEmpty ? Self.word(for: code) : reason,
            message: object["message"]?.string ?? "answered \(code)",
            causes: (details?["causes"]?.elements ?? []).prefix(32).map { cause in
                Cause(
                    field: cause["field"]?.string ?? "", reason: cause["reason"]?.string ?? "",
                    message: String((cause["message"]?.string ?? "").prefix(1024)))
            },
            retryAfter: number(details?["retryAfterSeconds"]).flatMap { $0 > 0 ? .seconds($0) : nil })
    }

    /// The API's word for a status, where the answer has none.
    private static func word(for status: Int) -> String {
        switch status {
        case 400: "BadRequest"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "NotFound"
        case 405: "MethodNotAllowed"
        case 409: "Conflict"
        case 410: "Gone"
        case 413: "RequestEntityTooLarge"
        case 422: "Invalid"
        case 429: "TooManyRequests"
        case 500: "InternalError"
        case 503: "ServiceUnavailable"
        case 504: "Timeout"
        default: "Unknown"
        }
    }
}

/// What an API server answers in place of an object: a Status with a code, a reason and causes.
import PoolAPI

struct APIStatus: Error {
    var code: Int
    var reason: String
    var message: String
    var causes: [(type: String, field: String, message: String)] = []
    var retryAfter: Int?

    var json: JSONValue {
        var details: [String: JSONValue] = [:]
        if !causes.isEmpty {
            details["causes"] = .array(
                causes.map {
                    ["reason": .string($0.type), "field": .string($0.field), "message": .string($0.message)]
                })
        }
        if let retryAfter { details["retryAfterSeconds"] = .integer(retryAfter) }
        return [
            "kind": "Status", "apiVersion": "v1", "metadata": [:],
            "status": .string(code < 400 ? "Success" : "Failure"), "message": .string(message),
            "reason": .string(reason), "code": .integer(code), "details": .object(details),
        ]
    }

    static func badRequest(_ message: String) -> Self {
        Self(code: 400, reason: "BadRequest", message: message)
    }

    static func notFound(_ what: String) -> Self {
        Self(code: 404, reason: "NotFound", message: "\(what) not found")
    }

    static func exists(_ what: String) -> Self {
        Self(code: 409, reason: "AlreadyExists", message: "\(what) already exists")
    }

    static func conflict(_ what: String, _ why: String) -> Self {
        Self(code: 409, reason: "Conflict", message: "Operation cannot be fulfilled on \(what): \(why)")
    }

    static func invalid(_ what: String, field: String, _ why: String) -> Self {
        Self(
            code: 422, reason: "Invalid", message: "\(what) is invalid: \(field): \(why)",
            causes: [("FieldValueInvalid", field, why)])
    }

    static func expired(_ version: Int) -> Self {
        Self(code: 410, reason: "Expired", message: "too old resource version: \(version)")
    }

    static func unsupported(_ type: String) -> Self {
        Self(code: 415, reason: "UnsupportedMediaType", message: "the body's type \(type) is not served")
    }

    static func notAllowed(_ method: String) -> Self {
        Self(code: 405, reason: "MethodNotAllowed", message: "\(method) is not served here")
    }
}

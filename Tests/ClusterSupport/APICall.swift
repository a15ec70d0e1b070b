/// One request to the stand-in, taken apart: what it is about, and how it wants to be answered.
import Foundation
import PoolAPI

struct APICall: Sendable {
    var method: String
    /// Without the query.
    var path: String
    var query: [String: String]
    var contentType: String
    var accept: String
    var userAgent: String
    /// What stands after `Bearer`: the stand-in takes any token, and the audit log names it.
    var token: String
    var body: [UInt8]

    init(method: String, target: String, headers: (String) -> String?, body: [UInt8]) {
        self.method = method
        self.body = body
        let halves = target.split(separator: "?", maxSplits: 1)
        path = halves.first.map(String.init) ?? "/"
        query = [:]
        for pair in halves.count > 1 ? halves[1].split(separator: "&") : [] {
            let sides = pair.split(separator: "=", maxSplits: 1).map { side in
                side.replacing("+", with: " ").removingPercentEncoding ?? String(side)
            }
            query[sides[0]] = sides.count > 1 ? sides[1] : ""
        }
        contentType = headers("content-type").map { String($0.prefix { $0 != ";" }) } ?? "application/json"
        accept = headers("accept") ?? ""
        userAgent = headers("user-agent") ?? ""
        token = headers("authorization").map { String($0.drop(while: { $0 != " " }).dropFirst()) } ?? ""
    }

    /// The manager that a write is by: what the query says, else the program's name.
    var manager: String { query["fieldManager"] ?? String(userAgent.prefix { $0 != "/" && $0 != " " }) }

    var isDryRun: Bool { query["dryRun"] != nil }
    var isWatch: Bool { ["1", "true"].contains(query["watch"]) }
    var isWrite: Bool { ["POST", "PUT", "PATCH", "DELETE"].contains(method) }
    /// Whether only metadata is asked for.
    var wantsMetadata: Bool { accept.contains("as=PartialObjectMetadata") }

    func json() throws(APIStatus) -> JSONValue {
        if body.isEmpty { return .object([:]) }
        if contentType.hasSuffix("yaml"), body.first != UInt8(ascii: "{") { return try YAMLBody.read(body) }
        do { return try JSONBytes.read(body) } catch {
            throw .badRequest("the body is no JSON: \(error.message) at \(error.offset)")
        }
    }
}

/// Where a path under /api and /apis leads.
struct APIPath: Equatable {
    var group = ""
    var version = ""
    var plural = ""
    var namespace: String?
    var name: String?
    var subresource = ""

    /// nil where the path is none of an object or of a list of objects.
    init?(_ path: String) {
        var steps = path.split(separator: "/").map { String($0).removingPercentEncoding ?? String($0) }[...]
        switch steps.popFirst() {
        case "api": break
        case "apis":
            guard let group = steps.popFirst() else { return nil }
            self.group = group
        default: return nil
        }
        guard let version = steps.popFirst() else { return nil }
        self.version = version
        // `/namespaces/x` is the namespace itself, `/namespaces/x/pods` what is in it.
        let isInside =
            steps.first == "namespaces" && steps.count > 2
            && !["status", "finalize"].contains(steps.dropFirst(2).first)
        if isInside {
            namespace = steps.dropFirst().first
            steps = steps.dropFirst(2)
        }
        guard let plural = steps.popFirst() else { return nil }
        self.plural = plural
        name = steps.popFirst()
        subresource = steps.popFirst() ?? ""
        guard steps.isEmpty else { return nil }
    }
}

/// Which public resource a request line names. Pure.
import Foundation
import NIOHTTP1

enum PublicRoute: Equatable, Sendable {
    case chatCompletions
    case models
    case model(String)
    case turns(session: String)
    case events(session: String)
    case session(String)
    case messages(session: String)
    case release(session: String)
    case approvals(session: String)
    case forget(session: String)
    case memorySearch
    case responses
    case response(String)
    case responseInput(String)
    case conversations
    case conversation(String)
    case forgetConversation(String)
    case conversationItems(String)
    case addConversationItems
    case conversationItem(String, item: String)

    enum Match: Equatable {
        case route(PublicRoute)
        case unknown
        /// The path exists; `allow` lists the methods it takes.
        case wrongMethod(allow: String)
        /// The path holds something that is no UTF-8 after percent-decoding.
        case undecodable
    }

    /// `target` is the request line's, with its query.
    static func match(_ method: HTTPMethod, _ target: String) -> Match {
        let path = target.prefix { $0 != "?" && $0 != "#" }
        var parts: [String] = []
        for part in path.split(separator: "/", omittingEmptySubsequences: true) {
            guard
                let decoded = part.utf8.contains(UInt8(ascii: "%"))
                    ? part.removingPercentEncoding : String(part)
            else { return .undecodable }
            parts.append(decoded)
        }
        guard parts.first == "v1" else { return .unknown }
        let rest = Array(parts.dropFirst())
        func only(_ methods: [(HTTPMethod, PublicRoute)]) -> Match {
            for (allowed, route) in methods where allowed == method { return .route(route) }
            return .wrongMethod(allow: methods.map { $0.0.rawValue }.joined(separator: ", "))
        }
        switch (rest.first, rest.count) {
        case ("chat", 2) where rest[1] == "completions":
            return only([(.POST, .chatCompletions)])
        case ("models", 1):
            return only([(.GET, .models)])
        case ("models", 2):
            return only([(.GET, .model(rest[1]))])
        case ("memories", 2) where rest[1] == "search":
            return only([(.POST, .memorySearch)])
        case ("responses", 1):
            return only([(.POST, .responses)])
        case ("responses", 2):
            return only([(.GET, .response(rest[1]))])
        case ("responses", 3) where rest[2] == "input_items":
            return only([(.GET, .responseInput(rest[1]))])
        case ("conversations", 1):
            return only([(.POST, .conversations)])
        case ("conversations", 2):
            return only([(.GET, .conversation(rest[1])), (.DELETE, .forgetConversation(rest[1]))])
        case ("conversations", 3) where rest[2] == "items":
            return only([(.GET, .conversationItems(rest[1])), (.POST, .addConversationItems)])
        case ("conversations", 4) where rest[2] == "items":
            return only([(.GET, .conversationItem(rest[1], item: rest[3]))])
        case ("sessions", 2):
            return only([(.GET, .session(rest[1])), (.DELETE, .forget(session: rest[1]))])
        case ("sessions", 3):
            switch rest[2] {
            case "turns": return only([(.POST, .turns(session: rest[1]))])
            case "events": return only([(.GET, .events(session: rest[1]))])
            case "messages": return only([(.GET, .messages(session: rest[1]))])
            case "approvals": return only([(.POST, .approvals(session: rest[1]))])
            case "release": return only([(.POST, .release(session: rest[1]))])
            default: return .unknown
            }
        default:
            return .unknown
        }
    }
}

/// The parameters behind a request target's `?`.
struct QueryItems {
    private let items: [String: String]

    init(_ target: String) {
        let query = target.drop { $0 != "?" }.dropFirst()
        var items: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = halves.count > 1 ? String(halves[1]) : ""
            items[String(halves[0])] =
                value.replacingOccurrences(of: "+", with: " ").removingPercentEncoding ?? value
        }
        self.items = items
    }

    /// `nil` where the parameter is absent.
    func text(_ name: String) -> String? { items[name] }

    /// `nil` where the parameter is absent.
    func bool(_ name: String) throws(APIError) -> Bool? {
        switch items[name] {
        case "true"?: true
        case "false"?: false
        case nil: nil
        case _?: throw .invalid(name, "\(name) must be true or false.")
        }
    }

    /// `nil` where the parameter is absent.
    func integer(_ name: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
        guard let text = items[name] else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw .invalid(name, "\(name) must be a number from \(range.lowerBound) to \(range.upperBound).")
        }
        return value
    }
}

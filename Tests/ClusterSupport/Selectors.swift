/// Decides which objects a list or watch with selectors is about.
import Foundation
import PoolAPI

struct Selectors: Sendable {
    private enum Term: Sendable {
        case equals(String, String)
        case differs(String, String)
        case exists(String)
        case lacks(String)
    }

    private var labels: [Term] = []
    private var fields: [(path: [String], value: String)] = []

    /// - Parameters: what the query's `labelSelector` and `fieldSelector` say, of the forms that the stand-in knows.
    init(labels: String?, fields: String?) throws(APIStatus) {
        for part in (labels ?? "").split(separator: ",") {
            let term = part.filter { $0 != " " }
            if let sign = term.range(of: "!=") {
                self.labels.append(
                    .differs(String(term[..<sign.lowerBound]), String(term[sign.upperBound...])))
            } else if let sign = term.range(of: "==") ?? term.range(of: "=") {
                self.labels.append(
                    .equals(String(term[..<sign.lowerBound]), String(term[sign.upperBound...])))
            } else if term.contains("(") {
                throw .badRequest("the stand-in knows no set in a selector")
            } else if term.hasPrefix("!") {
                self.labels.append(.lacks(String(term.dropFirst())))
            } else {
                self.labels.append(.exists(term))
            }
        }
        for part in (fields ?? "").split(separator: ",") {
            let sides = part.split(separator: "=", omittingEmptySubsequences: true).map(String.init)
            guard sides.count == 2 else { throw .badRequest("no field selector: \(part)") }
            self.fields.append((sides[0].split(separator: ".").map(String.init), sides[1]))
        }
    }

    func match(_ object: JSONValue) -> Bool {
        let of = object["metadata"]?["labels"]
        for term in labels {
            switch term {
            case .equals(let name, let value): guard of?[name]?.text == value else { return false }
            case .differs(let name, let value): guard of?[name]?.text != value else { return false }
            case .exists(let name): guard of?[name] != nil else { return false }
            case .lacks(let name): guard of?[name] == nil else { return false }
            }
        }
        return fields.allSatisfy { field in
            field.path.reduce(Optional(object)) { $0?[$1] }?.text == field.value
        }
    }
}

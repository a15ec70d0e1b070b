/// Reads the YAML of an apply, which may be JSON too, as far as manifests use it: no aliases, no tags.
import PoolAPI
import Yams

enum YAMLBody {
    static func read(_ bytes: [UInt8]) throws(APIStatus) -> JSONValue {
        let node: Node?
        do { node = try Yams.compose(yaml: String(decoding: bytes, as: UTF8.self)) } catch {
            throw .badRequest("the body is no YAML: \(error)")
        }
        return node.map(value) ?? .null
    }

    private static func value(_ node: Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            .object(Dictionary(mapping.map { ($0.key.string ?? "", value($0.value)) }) { _, last in last })
        case .sequence(let sequence): .array(sequence.map(value))
        case .scalar(let scalar): scalar.style == .plain ? plain(scalar.string) : .string(scalar.string)
        case .alias: .null
        }
    }

    private static func plain(_ word: String) -> JSONValue {
        switch word {
        case "", "~", "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        default:
            if let integer = Int(word) { return .integer(integer) }
            return Double(word).map(JSONValue.number) ?? .string(word)
        }
    }
}

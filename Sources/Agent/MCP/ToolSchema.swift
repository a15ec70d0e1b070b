/// Decides whether a tool's input schema can be shown to a model's server: one that it refuses would cost every turn of the agent.

import PoolAPI

/// The input schema of one tool (JSON Schema), as far as servers of models insist on it.
enum ToolSchema {
    static let maxBytes = 64 * 1024
    private static let maxReferences = 1000

    /// Why a tool is left out.
    struct Fault: Error, Equatable {
        let reason: String
    }

    /// The schema as a model is told of it.
    ///
    /// - Parameter raw: the value of `inputSchema`, as it came.
    static func read(_ raw: ArraySlice<UInt8>) throws(Fault) -> String {
        guard raw.count <= maxBytes else {
            throw Fault(reason: "its inputSchema has more than \(maxBytes) bytes")
        }
        var reader = JSONReader(Array(raw), depthLimit: MCPMessage.depthLimit, repairsSurrogates: true)
        // It was read once already, as a part of the list.
        guard let value = try? reader.readValue(), case .object(let members) = value else {
            throw Fault(reason: "its inputSchema is no JSON object")
        }
        let text = String(decoding: raw, as: UTF8.self)
        switch members["properties"] {
        case nil, .object: break
        default: throw Fault(reason: "the properties of its inputSchema are no JSON object")
        }
        try checkReferences(value)
        switch members["type"] {
        case .string("object"): return text
        // Arguments are always an object; servers of models want to be told.
        case nil:
            return #"{"type":"object""# + (members.isEmpty ? "}" : "," + text.dropFirst())
        default: throw Fault(reason: "its inputSchema is not of the type object")
        }
    }

    /// References within the schema have to lead somewhere, and not from one to the next in a circle. A schema that holds itself
    /// further in, as one of a tree does, is a good one.
    private static func checkReferences(_ root: JSONValue) throws(Fault) {
        var checked = 0
        var followed = Followed()
        var waiting = [root]
        while let value = waiting.popLast() {
            switch value {
            case .object(let members):
                if case .string(let reference)? = members["$ref"] {
                    checked += 1
                    guard checked <= maxReferences else { throw tooMany }
                    try follow(reference, in: root, &followed)
                }
                waiting += members.values
            case .array(let elements): waiting += elements
            default: break
            }
        }
    }

    private static var tooMany: Fault {
        Fault(reason: "its inputSchema has more than \(maxReferences) references")
    }

    /// What was found out on the way: each reference of a long chain begins one, and all would be followed to the same end.
    private struct Followed {
        /// References that lead somewhere.
        var good: Set<String> = []
        var steps = 0
    }

    private static func follow(
        _ reference: String, in root: JSONValue, _ followed: inout Followed
    ) throws(Fault) {
        var seen: Set<String> = []
        var next = reference
        // Nobody looks up what stands elsewhere.
        while next.hasPrefix("#"), !followed.good.contains(next) {
            guard seen.insert(next).inserted else {
                throw Fault(reason: "references of its inputSchema lead in a circle")
            }
            followed.steps += 1
            guard followed.steps <= maxReferences else { throw tooMany }
            // An anchor's name can't be told from a property without reading every keyword: those are let pass.
            guard next == "#" || next.hasPrefix("#/") else { break }
            guard let target = target(of: next, in: root) else {
                throw Fault(reason: "a reference of its inputSchema leads nowhere")
            }
            guard case .object(let members) = target, case .string(let further)? = members["$ref"] else {
                break
            }
            next = further
        }
        followed.good.formUnion(seen)
    }

    /// What a JSON pointer (RFC 6901) in a fragment leads to.
    private static func target(of reference: String, in root: JSONValue) -> JSONValue? {
        var value = root
        for part in reference.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false) {
            if reference == "#" { break }
            let name = String(part).replacing("%25", with: "%").replacing("~1", with: "/").replacing(
                "~0", with: "~")
            switch value {
            case .object(let members):
                guard let member = members[name] else { return nil }
                value = member
            case .array(let elements):
                guard let index = Int(name), elements.indices.contains(index) else { return nil }
                value = elements[index]
            default: return nil
            }
        }
        return value
    }
}

/// Texts of a workflow with places for what a turn has come to: `{{input}}`, `{{steps.look-up.order.id}}`.

public struct WorkflowTemplate: Sendable, Hashable {
    /// What stands in a place.
    public enum Source: Sendable, Hashable {
        /// What the user says in this turn.
        case input
        /// What the agent has said last in this turn.
        case reply
        /// The session's id.
        case session
        /// What came of a node, the last time that it ran; empty where it didn't. With a path it is read as JSON.
        case step(String, path: [String])
    }

    enum Piece: Sendable, Hashable {
        case text(String)
        case value(Source)
    }

    /// Why a text is no template.
    public struct Fault: Error, Equatable {
        public let message: String
        public let mend: String
    }

    let pieces: [Piece]

    static let placesInWords = "input, reply, session, steps.NODE or steps.NODE.member"

    public init(_ text: String) throws(Fault) {
        var pieces: [Piece] = []
        var rest = text[...]
        while let open = rest.firstRange(of: "{{") {
            guard let close = rest[open.upperBound...].firstRange(of: "}}") else {
                throw Fault(
                    message: "has {{ without }}", mend: "close it; the places are \(Self.placesInWords)")
            }
            if open.lowerBound > rest.startIndex {
                pieces.append(.text(String(rest[..<open.lowerBound])))
            }
            pieces.append(.value(try Self.source(rest[open.upperBound..<close.lowerBound])))
            rest = rest[close.upperBound...]
        }
        if !rest.isEmpty { pieces.append(.text(String(rest))) }
        self.pieces = pieces
    }

    private static func source(_ text: Substring) throws(Fault) -> Source {
        let words = text.split(separator: ".", omittingEmptySubsequences: false).map {
            String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        switch (words[0], words.count) {
        case ("input", 1): return .input
        case ("reply", 1): return .reply
        case ("session", 1): return .session
        case ("steps", 2...) where words.dropFirst().allSatisfy({ !$0.isEmpty }):
            return .step(words[1], path: Array(words.dropFirst(2)))
        default:
            throw Fault(
                message: "has the place {{\(text)}}, which there is not", mend: "use \(placesInWords)")
        }
    }

    /// The nodes that it speaks of.
    var steps: [String] {
        pieces.compactMap { if case .value(.step(let name, _)) = $0 { name } else { nil } }
    }

    /// The text with its places filled. What is no text stands there as JSON.
    public func text(_ value: (Source) -> JSONValue) -> String {
        pieces.map { piece in
            switch piece {
            case .text(let text): text
            case .value(let source): value(source).shown
            }
        }.joined()
    }

    /// As `text`; but a template that is one place and nothing else becomes what stands there, a number for instance.
    func json(_ value: (Source) -> JSONValue) -> JSONValue {
        if pieces.count == 1, case .value(let source) = pieces[0] { return value(source) }
        return .string(text(value))
    }
}

/// A JSON value whose texts are templates; the names of its members are not.
public indirect enum WorkflowTemplates: Sendable, Hashable {
    case constant(JSONValue)
    case text(WorkflowTemplate)
    case array([WorkflowTemplates])
    case object([String: WorkflowTemplates])

    public init(_ value: JSONValue) throws(WorkflowTemplate.Fault) {
        switch value {
        case .string(let text): self = .text(try WorkflowTemplate(text))
        case .array(let items):
            self = .array(try items.map { item throws(WorkflowTemplate.Fault) in try Self(item) })
        case .object(let members):
            var templates: [String: WorkflowTemplates] = [:]
            for (name, item) in members { templates[name] = try Self(item) }
            self = .object(templates)
        default: self = .constant(value)
        }
    }

    var steps: [String] {
        switch self {
        case .constant: []
        case .text(let template): template.steps
        case .array(let items): items.flatMap(\.steps)
        case .object(let members): members.sorted { $0.key < $1.key }.flatMap(\.value.steps)
        }
    }

    public func filled(_ value: (WorkflowTemplate.Source) -> JSONValue) -> JSONValue {
        switch self {
        case .constant(let constant): constant
        case .text(let template): template.json(value)
        case .array(let items): .array(items.map { $0.filled(value) })
        case .object(let members): .object(members.mapValues { $0.filled(value) })
        }
    }
}

extension JSONValue {
    /// What stands at the path: members by name, entries by number. Null where nothing does.
    public func at(_ path: some Sequence<String>) -> JSONValue {
        path.reduce(self) { value, key in
            switch value {
            case .object(let members): members[key] ?? .null
            case .array(let items): Int(key).flatMap { items.indices.contains($0) ? items[$0] : nil } ?? .null
            default: .null
            }
        }
    }

    /// As it stands amid a text: a text as it is, nothing for null, all else as JSON.
    fileprivate var shown: String {
        switch self {
        case .string(let text): text
        case .null: ""
        default: String(decoding: bytes(), as: UTF8.self)
        }
    }
}

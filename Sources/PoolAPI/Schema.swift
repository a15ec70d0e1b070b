/// The form of a value in a manifest: its type, bounds and default, and what it says about itself to people.
import Synchronization

struct Schema: Sendable {
    indirect enum Kind: Sendable {
        /// Its length is counted in Unicode scalars.
        case text(length: ClosedRange<Int>, pattern: Pattern?)
        case choice([String])
        case integer(ClosedRange<Int>)
        case number(ClosedRange<Double>)
        case duration(ClosedRange<Duration>)
        /// A string or a bare whole number, as Kubernetes' quantities are; the limits are in bytes.
        case bytes(ClosedRange<Int>)
        case cpu
        case object([Field])
        /// An object whose keys are the user's and whose values are strings.
        case texts(length: Int)
        case list(Schema, count: ClosedRange<Int>, identity: Identity)
        /// Anything, taken as it is.
        case anyObject
        /// Written by the API server; accepted and dropped.
        case ignored
    }

    /// What makes two entries of a list the same.
    enum Identity: Sendable, Equatable {
        case none
        /// The entry itself.
        case value
        /// This field of it.
        case field(String)
    }

    /// A regular expression with what it means in words.
    struct Pattern: Sendable {
        /// Anchored at both ends, in the syntax that RE2 and Swift's `Regex` share.
        let regex: String
        /// Completes "is not …".
        let meaning: String
        /// False where a password may stand by mistake, in a URL or in the place of a Secret's name: an error must not repeat it.
        var mayBeShown = true
    }

    let kind: Kind
    /// Rules between the fields of an object, which API servers check; `SpecRules` says the same to people, with a place and a mend.
    private(set) var rules: [Rule] = []

    init(_ kind: Kind) {
        self.kind = kind
    }

    /// The same schema with rules.
    func checking(_ rules: [Rule]) -> Schema {
        var schema = self
        schema.rules = rules
        return schema
    }
}

extension Schema {
    /// What an object's fields must keep to together, in the Common Expression Language.
    struct Rule: Sendable {
        /// True where the rule is kept. `self` is the object; a rule that speaks of `oldSelf` is asked on updates alone.
        let expression: String
        /// What to do about it.
        let message: String
        /// The field to blame, as a path below the object; nil where it is the object itself.
        let field: String?

        init(_ expression: String, _ message: String, at field: String? = nil) {
            self.expression = expression
            self.message = message
            self.field = field
        }
    }
}

extension Schema {
    /// A member of an object.
    struct Field: Sendable {
        let name: String
        let summary: String
        let schema: Schema
        let presence: Presence
        var isClusterOnly = false
        /// The feature that the field asks for and this version lacks, with its verb: "skills are".
        var missingFeature: String?

        enum Presence: Sendable {
            case required
            case optional
            /// Filled in by the reader and by the API server alike.
            case defaults(JSONValue)
            /// Filled in by the reader from other fields, as the words say.
            case derived(String)
        }

        init(_ name: String, _ summary: String, _ schema: Schema, _ presence: Presence = .optional) {
            self.name = name
            self.summary = summary
            self.schema = schema
            self.presence = presence
        }

        /// The same field, of which a single worker has no use.
        func clusterOnly() -> Field {
            var field = self
            field.isClusterOnly = true
            return field
        }

        /// The same field, which this version reads and refuses to run with.
        func notYet(_ feature: String) -> Field {
            var field = self
            field.missingFeature = feature
            return field
        }
    }

    static func object(_ fields: [Field]) -> Schema { Schema(.object(fields)) }

    static func text(_ length: ClosedRange<Int>, _ pattern: Pattern? = nil) -> Schema {
        Schema(.text(length: length, pattern: pattern))
    }

    static func choice<T: RawRepresentable & CaseIterable>(_: T.Type) -> Schema where T.RawValue == String {
        Schema(.choice(T.allCases.map(\.rawValue)))
    }

    static func integer(_ range: ClosedRange<Int>) -> Schema { Schema(.integer(range)) }

    static func duration(_ range: ClosedRange<Duration>) -> Schema { Schema(.duration(range)) }

    static func list(_ item: Schema, _ count: ClosedRange<Int>, _ identity: Identity = .none) -> Schema {
        Schema(.list(item, count: count, identity: identity))
    }

    static let texts = Schema(.texts(length: 4096))
    static let anyObject = Schema(.anyObject)
    static let ignored = Schema(.ignored)
}

extension Schema {
    /// A DNS label, as every name of the manifest is.
    static let name = Schema.text(1...63, .label)
    /// The name of a Kubernetes object.
    static let objectName = Schema.text(1...253, .subdomain)
    static let url = Schema.text(1...2048, .url)
    static let host = Schema.text(1...253, .host)

    static let objectRef = Schema.object([
        Field("name", "Its name, in the pool's namespace.", objectName, .required)
    ])
    static let secretKeyRef = Schema.object([
        Field("name", "The Secret's name, in the pool's namespace.", objectName, .required),
        Field("key", "The key in the Secret.", .text(1...253, .secretKey), .required),
    ])
}

extension Schema.Pattern {
    static let label = Schema.Pattern(
        regex: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        meaning: "a name of lower-case letters, digits and inner dashes")
    static let poolName = Schema.Pattern(
        regex: "^[a-z]([-a-z0-9]*[a-z0-9])?$",
        meaning: "a name of lower-case letters, digits and inner dashes that starts with a letter")
    static let subdomain = Schema.Pattern(
        regex: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        meaning: "the name of a Kubernetes object", mayBeShown: false)
    static let secretKey = Schema.Pattern(
        regex: "^[-._a-zA-Z0-9]+$", meaning: "a key of letters, digits, '-', '_' and '.'", mayBeShown: false)
    static let innerPath = Schema.Pattern(
        regex: "^[A-Za-z0-9_][-._A-Za-z0-9]*(/[A-Za-z0-9_][-._A-Za-z0-9]*)*$",
        meaning: "a relative path of letters, digits, '-', '_' and '.' whose parts begin with no '.' or '-'")
    static let url = Schema.Pattern(
        regex: "^https?://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?(/[^\\s?#]*)?$",
        meaning: "a URL of the form http(s)://host[:port][/path]", mayBeShown: false)
    static let host = Schema.Pattern(
        regex: "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        meaning: "a host name")
    static let hostAndPort = Schema.Pattern(
        regex: "^([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$", meaning: "of the form host:port",
        mayBeShown: false)
    static let scope = Schema.Pattern(
        regex: "^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$",
        meaning: "words of letters, digits, '.', '_' and '-' joined by '/'")
    static let collection = Schema.Pattern(
        regex: "^[A-Za-z_][A-Za-z0-9_]*$", meaning: "a name of letters, digits and '_'")
    static let toolName = Schema.Pattern(
        regex: "^[A-Za-z0-9._/-]+$", meaning: "the name of a tool")
    static let duration = Schema.Pattern(
        regex: DurationText.pattern, meaning: "a duration in the units ms, s, m and h, such as 15m")
    static let bytes = Schema.Pattern(
        regex: ByteQuantity.pattern, meaning: "a number of bytes such as 512Mi")
    static let cpu = Schema.Pattern(regex: CPUQuantity.pattern, meaning: "an amount of CPU such as 700m")

    /// The regular expressions in use, compiled: a controller checks the same fields again and again, and compiling costs a hundred
    /// times what matching does. There are as many as patterns.
    private static let compiled = Mutex<[String: Regex<AnyRegexOutput>]>([:])

    /// Whether the whole text matches.
    func matches(_ text: String) -> Bool {
        Self.compiled.withLock { compiled in
            if let known = compiled[regex] { return Self.isWhole(text, known) }
            guard let new = try? Regex(regex).matchingSemantics(.unicodeScalar) else {
                preconditionFailure("the pattern of a schema does not compile: \(regex)")
            }
            compiled[regex] = new
            return Self.isWhole(text, new)
        }
    }

    private static func isWhole(_ text: String, _ regex: Regex<AnyRegexOutput>) -> Bool {
        // A match can only fail by a throwing transform, and these patterns have none.
        (try? regex.wholeMatch(in: text)) != nil
    }
}

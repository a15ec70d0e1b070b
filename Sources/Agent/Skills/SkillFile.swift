/// Reads a skill's SKILL.md: its front matter, as leniently as it can be understood, and the guide below it. Pure.
import PoolAPI

/// The fields and their bounds are those of the Agent Skills format. What breaks them is a warning; only a file without a description,
/// or whose front matter can't be read at all, is no skill.
struct SkillFile: Sendable, Equatable {
    /// Unicode scalars.
    static let descriptionLimit = 1024
    static let compatibilityLimit = 500
    static let nameLimit = 64
    /// Bytes.
    static let frontMatterLimit = 16 * 1024
    static let guideLimit = 64 * 1024
    /// Of a whole file; what stands behind it is not read.
    static let sizeLimit = 256 * 1024

    var description: String
    /// What the skill needs of its surroundings.
    var compatibility: String?
    var guide: String
    /// There is more of the guide in the file.
    var isCut = false
    private(set) var warnings: [String] = []

    /// Why a file is no skill.
    struct Unreadable: Error, Equatable {
        var reason: String
    }

    /// - Parameters:
    ///   - bytes: the file, or its first `sizeLimit` bytes.
    ///   - name: the skill's in the manifest, which is its folder's.
    ///   - isWhole: the bytes are all of the file.
    init(_ bytes: [UInt8], name: String, isWhole: Bool = true) throws(Unreadable) {
        var text = String(decoding: bytes, as: UTF8.self)
        var warnings: [String] = []
        if isWhole, String(validating: bytes, as: UTF8.self) == nil {
            warnings.append("the file is not UTF-8 throughout: what isn't is shown as U+FFFD")
        }
        text = text.replacing("\r\n", with: "\n")
        if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        let (front, rest) = try Self.split(text)
        let fields = try Self.fields(of: front, warnings: &warnings)

        description = Self.text(fields["description"]).map { String(Sentences.trimmed($0)) } ?? ""
        guard !description.isEmpty else { throw Unreadable(reason: "the front matter has no description") }
        if description.unicodeScalars.count > Self.descriptionLimit {
            warnings.append(
                "the description is longer than \(Self.descriptionLimit) characters: the rest is left out")
            description = Self.prefix(description, Self.descriptionLimit)
        }
        compatibility = Self.text(fields["compatibility"])
        if let long = compatibility, long.unicodeScalars.count > Self.compatibilityLimit {
            warnings.append(
                "compatibility is longer than \(Self.compatibilityLimit) characters: the rest is left out")
            compatibility = Self.prefix(long, Self.compatibilityLimit)
        }
        warnings += Self.warnings(on: fields, name: name)

        guide = String(Sentences.trimmed(rest))
        isCut = !isWhole || guide.utf8.count > Self.guideLimit
        guide = Sentences.bounded(guide, bytes: Self.guideLimit)
        if isCut { warnings.append("the text is longer than \(Self.guideLimit) bytes: the rest is left out") }
        if guide.isEmpty { warnings.append("there is no text below the front matter") }
        self.warnings = warnings
    }

    /// The lines between the first two of `---`, and what follows them.
    private static func split(_ text: String) throws(Unreadable) -> (front: Substring, rest: Substring) {
        func line(from start: String.Index) -> (text: Substring, next: String.Index)? {
            guard start < text.endIndex else { return nil }
            let end = text[start...].firstIndex(of: "\n") ?? text.endIndex
            return (text[start..<end], end < text.endIndex ? text.index(after: end) : end)
        }
        func isRule(_ line: Substring) -> Bool { line.hasPrefix("---") && Sentences.trimmed(line) == "---" }
        guard let first = line(from: text.startIndex), isRule(first.text) else {
            throw Unreadable(reason: "the file doesn't begin with front matter between two lines of ---")
        }
        var place = first.next
        while let next = line(from: place) {
            if isRule(next.text) { return (text[first.next..<place], text[next.next...]) }
            place = next.next
            if text.utf8.distance(from: first.next, to: place) > frontMatterLimit { break }
        }
        throw Unreadable(
            reason: "the front matter doesn't end with a line of --- within \(frontMatterLimit) bytes")
    }

    /// What the front matter means. Where that is no YAML, its lines are taken at their word: an unquoted colon is a common slip.
    private static func fields(
        of front: Substring, warnings: inout [String]
    ) throws(Unreadable) -> [String: JSONValue] {
        let front = String(front)
        if let reason = excess(in: front) { throw Unreadable(reason: reason) }
        do { return try YAMLObject.read(front) } catch {
            guard let fields = try? YAMLObject.read(quoted(front)) else {
                // The first error is the one to tell.
                throw Unreadable(
                    reason: "the front matter \(error.problems.first?.message ?? "is not valid YAML")")
            }
            warnings.append("the front matter is not valid YAML, and was read line by line: quote its texts")
            return fields
        }
    }

    /// Each line of the form `name: text` with its text in quotes.
    private static func quoted(_ front: String) -> String {
        front.split(separator: "\n", omittingEmptySubsequences: false).map { line -> String in
            guard let match = line.wholeMatch(of: /([A-Za-z][A-Za-z0-9_-]*):[ \t]+([^\s"'|>].*)/) else {
                return String(line)
            }
            return "\(match.1): '\(Sentences.trimmed(match.2).replacing("'", with: "''"))'"
        }.joined(separator: "\n")
    }

    /// YAML can say much in few bytes, and nest as deeply as it has bytes: nothing that a skill needs.
    private static func excess(in front: String) -> String? {
        let marks = front.matches(of: /[\[{]|[-?:][ \t]/).count
        if marks > 512 { return "the front matter has more than 512 values" }
        let hasAnchor = front.contains(/(?m)(?:^|[\s\[{,:-])&[A-Za-z0-9_]/)
        let hasAlias = front.contains(/(?m)(?:^|[\s\[{,:-])\*[A-Za-z0-9_]/)
        return hasAnchor && hasAlias
            ? "the front matter has aliases, which are not read: write the values out" : nil
    }

    private static func warnings(on fields: [String: JSONValue], name: String) -> [String] {
        var warnings: [String] = []
        switch text(fields["name"]) {
        case nil: warnings.append("the front matter has no name: the skill is called \(name)")
        case name?: break
        case let other?:
            let isName =
                other.utf8.count <= nameLimit && !other.contains("--")
                && other.wholeMatch(of: /[a-z0-9]([-a-z0-9]*[a-z0-9])?/) != nil
            warnings.append(
                isName
                    ? "its name is \(other) in the front matter: it is called \(name), as in the manifest"
                    : "the name in the front matter is none of 1 to 64 small letters, digits and single inner dashes: it is called \(name)"
            )
        }
        if fields["allowed-tools"] != nil {
            warnings.append(
                "allowed-tools is not enforced: an agent has the tools that the manifest gives it, with and without the skill"
            )
        }
        for field in ["license", "compatibility"]
        where fields[field] != nil && text(fields[field]) == nil {
            warnings.append("\(field) is no text")
        }
        if let metadata = fields["metadata"] {
            if case .object(let members) = metadata, members.values.allSatisfy({ text($0) != nil }) {
                return warnings
            }
            warnings.append("metadata is no map of texts")
        }
        return warnings
    }

    /// A text, also where YAML takes it for something else.
    private static func text(_ value: JSONValue?) -> String? {
        switch value {
        case .string(let text)?: text
        case .integer(let number)?: "\(number)"
        case .number(let number)?: "\(number)"
        case .bool(let value)?: "\(value)"
        default: nil
        }
    }

    private static func prefix(_ text: String, _ scalars: Int) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.prefix(scalars)))
    }
}

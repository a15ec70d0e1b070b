/// Everything that is wrong with a manifest, each problem with its place and its mend.

public struct ManifestError: Error, Sendable, Equatable {
    /// Never empty, in the order of the file.
    public var problems: [Problem]

    public init(problems: [Problem]) {
        self.problems = problems
    }

    public struct Problem: Sendable, Hashable {
        public var file: String?
        /// From 1; nil where the text had no lines, as an object from the API server has none.
        public var line: Int?
        /// The field, such as `spec.agents[1].model`; empty for the document as a whole.
        public var path: String
        /// What is wrong, said of the field: "is not a duration".
        public var message: String
        /// What to do about it.
        public var mend: String

        public init(file: String? = nil, line: Int? = nil, path: String, message: String, mend: String) {
            self.file = file
            self.line = line
            self.path = path
            self.message = message
            self.mend = mend
        }
    }
}

extension ManifestError: CustomStringConvertible {
    /// One line a problem, the first fifty.
    public var description: String {
        let limit = 50
        var lines = problems.prefix(limit).map(\.description)
        if problems.count > limit { lines.append("and \(problems.count - limit) more") }
        return lines.joined(separator: "\n")
    }
}

extension ManifestError.Problem: CustomStringConvertible {
    /// `file:line: path: what is wrong; the mend`.
    public var description: String {
        var places: [String] = []
        if let file { places.append(line.map { "\(file):\($0)" } ?? file) }
        if !path.isEmpty { places.append(path) }
        return (places + ["\(message); \(mend)"]).joined(separator: ": ")
    }
}

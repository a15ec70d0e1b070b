/// Reads small YAML texts that are no manifests, such as the front matter of a file.

public enum YAMLObject {
    /// The members of a text of one YAML object; plain words mean what they mean in a manifest. An empty text has none.
    ///
    /// - Throws: the first thing that keeps the text from being read, with its line and a mend. The message quotes nothing of the text.
    public static func read(_ yaml: String) throws(ManifestError) -> [String: JSONValue] {
        let documents = try YAMLReader.documents(in: yaml, file: nil)
        guard let first = documents.first else { return [:] }
        guard documents.count == 1, case .object(let members) = first.json else {
            throw ManifestError(problems: [
                .init(
                    file: nil, path: "", message: "is not one YAML object",
                    mend: "write lines of the form name: value")
            ])
        }
        return members
    }
}

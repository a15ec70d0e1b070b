// Decides whether a document is a valid manifest, and completes it.
import Foundation

/// Makes a typed, complete and valid value of a document: the schema's check, the defaults, the rules between fields.
struct ManifestReader {
    let file: String?
    let place: ServingPlace
    private(set) var problems: [ManifestError.Problem] = []
    /// The check of the document read last, which knows its lines.
    private var latest: SchemaCheck?

    init(file: String?, servedIn place: ServingPlace) {
        self.file = file
        self.place = place
    }

    /// The value of a document that holds a specification at `spec`, or nil where it is too broken to have one.
    ///
    /// `pool` takes the pool's name from the checked document. All problems found are added to `problems`, in the order of the lines.
    mutating func read<Value: Decodable>(
        _ document: LocatedValue, _ schema: Schema, as type: Value.Type, spec: KeyPath<Value, AgentPoolSpec>,
        pool: (JSONValue) -> PoolReference
    ) -> Value? {
        var check = SchemaCheck(file: file)
        var json = check.check(document, schema)
        if var fields = json["spec"] {
            SpecDefaults.fill(&fields, for: pool(json))
            json["spec"] = fields
        }
        let value = decode(type, from: json, line: document.line)
        if let value {
            let mistaken = Set(check.problems.map(\.path))
            let violations = SpecRules.violations(
                of: value[keyPath: spec],
                authModeIsGiven: check.given["spec.auth.mode"] != nil
                    || mistaken.contains { $0.hasPrefix("spec.auth") },
                in: place)
            for violation in violations {
                let path = "spec.\(violation.path)"
                // What stands there now is not what the user wrote, and is reported already.
                if mistaken.contains(path) { continue }
                check.report(path, check.line(of: path), violation.message, violation.mend)
            }
        }
        add(check)
        return value
    }

    /// The value of a document that stands for itself, such as a Secret.
    mutating func read<Value: Decodable>(_ document: LocatedValue, _ schema: Schema, as type: Value.Type)
        -> Value?
    {
        var check = SchemaCheck(file: file)
        let json = check.check(document, schema)
        add(check)
        return decode(type, from: json, line: document.line)
    }

    /// Adds a problem of a document that no schema describes.
    mutating func report(line: Int?, path: String, _ message: String, _ mend: String) {
        problems.append(.init(file: file, line: line, path: path, message: message, mend: mend))
    }

    /// Adds a problem at a field of the document read last.
    mutating func report(path: String, _ message: String, _ mend: String) {
        report(line: latest?.line(of: path), path: path, message, mend)
    }

    private mutating func add(_ check: SchemaCheck) {
        latest = check
        // Sorting by place keeps problems of one line in the order in which they were found.
        let ordered = check.problems.enumerated().sorted {
            ($0.element.line ?? 0, $0.offset) < ($1.element.line ?? 0, $1.offset)
        }
        problems += ordered.map(\.element)
    }

    private mutating func decode<Value: Decodable>(
        _ type: Value.Type, from json: JSONValue, line: Int?
    ) -> Value? {
        do {
            return try JSONDecoder().decode(type, from: Data(json.bytes()))
        } catch {
            // The schema lets through only what the types take, which the tests hold; this says so where they missed a case.
            report(
                line: line, path: "", "could not be read as \(type)",
                "please report this, with the manifest")
            return nil
        }
    }
}

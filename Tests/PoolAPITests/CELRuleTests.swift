// Holds the rules of the definition to a table of manifests that break them, one rule a file.
import Testing

@testable import PoolAPI

/// The files of Tests/Golden/cel. The first line of each says which field an API server blames, and in which words. A file of two
/// documents breaks a rule on changes: the first is taken, and the second refused as its successor.
@Suite struct CELRuleTests {
    struct Case {
        let name: String
        let field: String
        let message: String
        let documents: [LocatedValue]

        init(_ name: String) throws {
            let path = "\(CELRuleTests.folder)/\(name).yaml"
            let text = try Golden.text(path)
            let line = text.prefix { $0 != "\n" }
            let parts = try #require(line.wholeMatch(of: /# ([^ ]+): (.+)/))
            self.name = name
            field = String(parts.1)
            message = String(parts.2)
            documents = try YAMLReader.documents(in: text, file: path)
        }

        /// The field without places in lists.
        var schemaPath: String { field.replacing(/\[[0-9]+\]/, with: "[]") }
    }

    static let folder = "Tests/Golden/cel"

    /// None where the folder can't be read, and then each rule lacks its file.
    static let names = (try? Golden.files(folder)) ?? []

    /// Every rule of the definition by the field it blames and its words.
    private static func rules() -> [(field: String, rule: Schema.Rule)] {
        var found: [(String, Schema.Rule)] = []
        func visit(_ schema: Schema, _ path: String) {
            for rule in CustomResourceDefinition.rules(of: schema) {
                found.append((rule.field.map { "\(path).\($0)" } ?? path, rule))
            }
            switch schema.kind {
            case .object(let fields):
                for field in fields {
                    visit(field.schema, path.isEmpty ? field.name : "\(path).\(field.name)")
                }
            case .list(let item, _, _): visit(item, "\(path)[]")
            default: break
            }
        }
        visit(ManifestSchema.agentPool, "")
        return found
    }

    @Test("Each file breaks a rule of the definition, and the reader refuses it too", arguments: names)
    func cases(name: String) throws {
        let broken = try Case(name)
        let rules = Self.rules()
        let rule = try #require(
            rules.first { $0.field == broken.schemaPath && $0.rule.message == broken.message },
            "the definition has no such rule")
        let isTransition = rule.rule.expression.contains("oldSelf")
        #expect(broken.documents.count == (isTransition ? 2 : 1))
        for (index, document) in broken.documents.enumerated() {
            let isTaken = index < broken.documents.count - 1 || isTransition
            do {
                _ = try AgentPool.decode(document.json)
                #expect(isTaken, "the reader takes it")
            } catch {
                #expect(!isTaken, "the reader refuses it: \(error)")
            }
        }
    }

    @Test("Each rule that is written out has a file that breaks it")
    func everyRuleHasACase() throws {
        let cases = try Self.names.map { try Case($0) }
        for (field, rule) in Self.rules() where !rule.message.hasPrefix("choose from") {
            #expect(
                cases.contains { $0.schemaPath == field && $0.message == rule.message },
                "no file for \(field): \(rule.message)")
        }
    }

    @Test("The field that a rule blames exists, and what a rule says fits an answer of the API server")
    func rulesAreWellFormed() throws {
        let paths = SchemaFields.paths(of: ManifestSchema.agentPool)
        for (field, rule) in Self.rules() {
            #expect(paths.contains(field), "\(field)")
            #expect(rule.message.count <= 200 && !rule.message.contains("\n"))
            #expect(!rule.expression.contains("\n"))
        }
    }

    /// An API server refuses a definition whose own default breaks a rule, and fills in no defaults inside a default before it asks.
    @Test("The rules of an object that has a default ask whether a field is there before they read it")
    func rulesOfDefaults() {
        var asked = 0
        func visit(_ schema: Schema, hasDefault: Bool, _ path: String) {
            switch schema.kind {
            case .object(let fields):
                for rule in CustomResourceDefinition.rules(of: schema) where hasDefault {
                    for match in rule.expression.matches(of: /(?:self|oldSelf)\.[A-Za-z]+/) {
                        asked += 1
                        #expect(
                            rule.expression.contains("has(\(match.output))"), "\(path): \(rule.expression)")
                    }
                }
                for field in fields {
                    let isDefault = if case .defaults = field.presence { true } else { false }
                    visit(field.schema, hasDefault: isDefault, "\(path).\(field.name)")
                }
            case .list(let item, _, _): visit(item, hasDefault: false, "\(path)[]")
            default: break
            }
        }
        visit(ManifestSchema.agentPool, hasDefault: false, "")
        #expect(asked > 5)
    }

    @Test("Names that a rule reads are fields of the schema")
    func namesInRules() throws {
        let names = Set(
            SchemaFields.paths(of: ManifestSchema.agentPool).flatMap { path in
                path.split(separator: ".").map { String($0.replacing("[]", with: "")) }
            })
        for (field, rule) in Self.rules() {
            let text = rule.expression.replacing(/'[^']*'/, with: "''")
            for match in text.matches(of: /\.([A-Za-z]+)\b(?!\()/) where !names.contains(String(match.1)) {
                Issue.record("\(field): \(match.1) is no field")
            }
        }
    }
}

// What a mistaken manifest is told.
import Testing

@testable import PoolAPI

@Suite struct ManifestProblemTests {
    @Test(
        "Each mistaken manifest gives all of its problems with line, field and mend",
        arguments: try Golden.corpusFiles("invalid"))
    func golden(path: String) throws {
        let name = String(path.split(separator: "/").last ?? "")
        let error = try #require(throws: ManifestError.self) {
            try ManifestFile.parse(yaml: Golden.text(path), file: name)
        }
        try Golden.expect(error.description + "\n", equals: path.replacing(".yaml", with: ".problems.txt"))
    }

    @Test("No message repeats a secret", arguments: try Golden.corpusFiles("invalid"))
    func secrets(path: String) throws {
        let error = try #require(throws: ManifestError.self) {
            try ManifestFile.parse(yaml: Golden.text(path))
        }
        #expect(!error.description.contains("hunter2"))
    }

    /// A specification beside its one agent, and the field and the words of the only problem that it has.
    static let rules: [(spec: String, path: String, words: String)] = [
        ("entryAgent: other", "entryAgent", "no agent is called \"other\""),
        ("models: [{name: m}]", "models[0].baseURL", "is required for the provider openai"),
        ("models: [{name: m, provider: builtin, baseURL: 'http://m'}]", "models[0].baseURL", "no meaning"),
        (
            "models: [{name: m, provider: builtin, apiKeySecretRef: {name: s, key: k}}]",
            "models[0].apiKeySecretRef", "no meaning"
        ),
        ("models: [{name: builtin, baseURL: 'http://m'}]", "models[0].name", "built-in model"),
        ("memory: {embeddingModel: other}", "memory.embeddingModel", "no model is called \"other\""),
        ("memory: {embeddingModel: builtin}", "memory.embeddingModel", "has no dimensions"),
        ("replicas: 2", "replicas", "needs Redis"),
        ("autoscaling: {maxReplicas: 2}", "autoscaling.maxReplicas", "needs Redis"),
        ("autoscaling: {minReplicas: 2, maxReplicas: 1}", "autoscaling.minReplicas", "more than maxReplicas"),
        ("drain: {timeout: 9m}", "drain.timeout", "shorter than a turn"),
        ("ingress: {host: a.b}", "ingress", "without authentication"),
        ("gateway: {parentRefs: [{name: g}]}", "gateway", "without authentication"),
        (
            "{ingress: {host: a.b}, gateway: {parentRefs: [{name: g}]}, auth: {mode: None}}", "gateway",
            "not both"
        ),
        ("auth: {mode: JWT}", "auth.jwt", "is required"),
        ("auth: {mode: JWT, apiKeysSecretRef: {name: s}, jwt: ~}", "auth.jwt", "is required"),
        ("auth: {trustedKeys: [a]}", "auth.trustedKeys", "no meaning in the mode None"),
        ("guard: {forbiddenPatterns: ['a', '(']}", "guard.forbiddenPatterns[1]", "is no pattern"),
        (
            "mcpServers: [{name: s, url: 'http://s', allow: [a], requireApproval: [b]}]",
            "mcpServers[0].requireApproval[0]", "not in allow"
        ),
        ("mcpServers: [{name: s}]", "mcpServers[0].url", "is required where there is no command"),
        ("mcpServers: [{name: s, url: 'http://s', command: [s]}]", "mcpServers[0].url", "not both"),
        (
            "mcpServers: [{name: s, url: 'http://s', env: {A: b}}]", "mcpServers[0].env",
            "no meaning without command"
        ),
        (
            "mcpServers: [{name: s, command: [s], headersSecretRef: {name: h}}]",
            "mcpServers[0].headersSecretRef", "no meaning for a process"
        ),
        (
            "mcpServers: [{name: s, command: [s], env: {'A=B': hunter2}}]", "mcpServers[0].env.A=B",
            "no variable"
        ),
        ("skills: [{name: s}]", "skills[0].configMapRef", "is required where there is no volume"),
        (
            "skills: [{name: s, configMapRef: {name: c}, volume: {claimName: v}}]",
            "skills[0].configMapRef", "not both"
        ),
        (
            "skills: [{name: s, volume: {claimName: v, subPath: a/../b}}]", "skills[0].volume.subPath",
            "is not a relative path"
        ),
        (
            "skills: [{name: s, configMapRef: {name: c, items: [{key: a, path: /etc/a}]}}]",
            "skills[0].configMapRef.items[0].path", "is not a relative path"
        ),
    ]

    @Test("A rule between fields is named at the field to mend", arguments: rules)
    func rule(spec: String, path: String, words: String) throws {
        let agents = "agents: [{name: assistant, instructions: Help.}]"
        let yaml = spec.hasPrefix("{") ? "{\(agents), \(spec.dropFirst())" : "\(agents)\n\(spec)"
        let error = try #require(throws: ManifestError.self) { try AgentPoolSpec.parse(yaml: yaml) }
        let problem = try #require(error.problems.first { $0.path == "spec.\(path)" }, "\(error)")
        #expect(problem.message.contains(words))
        #expect(!problem.mend.isEmpty && problem.line != nil)
    }

    @Test(
        "An agent's names must exist, and an agent can't hand off to itself",
        arguments: [
            "model: other", "tools: [other]", "skills: [other]", "handoffs: [other]", "handoffs: [a]",
            "model: builtin-embedding",
        ])
    func agentNames(field: String) throws {
        let error = try #require(throws: ManifestError.self) {
            try AgentPoolSpec.parse(yaml: "agents: [{name: a, instructions: Help., \(field)}]")
        }
        #expect(error.problems.count == 1)
        let name = field.prefix { $0 != ":" }
        #expect(error.problems[0].path.hasPrefix("spec.agents[0].\(name)"))
    }

    @Test(
        "Counts and lengths are bounded",
        arguments: [
            ("agents", 33, "spec.agents"), ("models", 33, "spec.models"),
            ("mcpServers", 33, "spec.mcpServers"),
            ("skills", 65, "spec.skills"),
        ])
    func counts(list: String, count: Int, path: String) throws {
        let entry: (Int) -> String = { index in
            switch list {
            case "agents": "{name: n\(index), instructions: Help.}"
            case "models": "{name: n\(index), baseURL: 'http://m'}"
            case "mcpServers": "{name: n\(index), url: 'http://m'}"
            default: "{name: n\(index), configMapRef: {name: c}}"
            }
        }
        func parse(_ count: Int) throws {
            let entries = (0..<count).map(entry).joined(separator: ", ")
            let agent = list == "agents" ? "" : "agents: [{name: a, instructions: Help.}]\n"
            _ = try AgentPoolSpec.parse(yaml: "\(agent)\(list): [\(entries)]")
        }
        try parse(count - 1)
        let error = try #require(throws: ManifestError.self) { try parse(count) }
        #expect(error.problems.map(\.path) == [path])
    }

    @Test(
        "A pool's name is a DNS label of at most 40 characters that starts with a letter",
        arguments: [
            ("a", true), (String(repeating: "a", count: 40), true),
            (String(repeating: "a", count: 41), false),
            ("9a", false), ("a-", false), ("A", false), ("a.b", false), ("a\nb", false),
        ])
    func poolName(name: String, isValid: Bool) throws {
        let yaml = """
            {"apiVersion": "agentpool.dev/v1alpha1", "kind": "AgentPool",
             "metadata": {"name": "\(name.replacing("\n", with: "\\n"))"},
             "spec": {"agents": [{"name": "a", "instructions": "Help."}]}}
            """
        let paths: [String]
        do {
            _ = try ManifestFile.parse(yaml: yaml)
            paths = []
        } catch {
            paths = error.problems.map(\.path)
        }
        #expect(paths == (isValid ? [] : ["metadata.name"]))
    }

    @Test("A mode that is spelled wrong is not taken for a missing one")
    func misspelledMode() throws {
        let error = try #require(throws: ManifestError.self) {
            try AgentPoolSpec.parse(
                yaml: """
                    agents: [{name: a, instructions: Help.}]
                    ingress: {host: a.b}
                    auth: {mode: none}
                    """)
        }
        #expect(error.problems.map(\.path) == ["spec.auth.mode"])
        #expect(error.problems[0].mend == "did you mean None?")
    }

    @Test(
        "A key written in the place of a Secret's name or in a URL is not repeated",
        arguments: [
            "apiKeySecretRef: {name: SK_hunter2, key: k}", "apiKeySecretRef: {name: s, key: hunter2!}",
            "apiKeySecretRef: hunter2", "baseURL: 'http://u:hunter2@m'",
        ])
    func misplacedKey(field: String) throws {
        let error = try #require(throws: ManifestError.self) {
            try AgentPoolSpec.parse(
                yaml: """
                    agents: [{name: a, instructions: Help.}]
                    models: [{name: m, \(field)}]
                    """)
        }
        #expect(!error.description.contains("hunter2"))
    }

    @Test("Only the first fifty problems are printed")
    func manyProblems() throws {
        let names = (0..<60).map { "x\($0): 1" }.joined(separator: ", ")
        let error = try #require(throws: ManifestError.self) {
            try AgentPoolSpec.parse(yaml: "{agents: [{name: a, instructions: Help.}], \(names)}")
        }
        let lines = error.description.split(separator: "\n")
        #expect(error.problems.count == 60 && lines.count == 51)
        #expect(lines.last == "and 10 more")
    }

    @Test("A mode of None opens an ingress to everyone")
    func open() throws {
        let spec = try AgentPoolSpec.parse(
            yaml: """
                agents: [{name: a, instructions: Help.}]
                ingress: {host: a.b}
                auth: {mode: None}
                """)
        #expect(spec.auth.mode == AgentPoolSpec.Auth.Mode.none)
    }
}

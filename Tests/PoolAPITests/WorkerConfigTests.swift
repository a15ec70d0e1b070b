// The worker's configuration as text, and its versions.
import Testing

@testable import PoolAPI

@Suite struct WorkerConfigTests {
    private let config: WorkerConfig

    init() throws {
        let path = "\(Golden.corpus)/valid/every-field-with-ingress.yaml"
        let pool = try #require(try ManifestFile.parse(yaml: Golden.text(path)).pools.first)
        config = WorkerConfig(pool: pool.reference, spec: pool.spec)
    }

    @Test("A worker reads what a controller wrote, and writing it again gives the same bytes")
    func roundTrip() throws {
        let text = try config.encoded()
        let decoded = try WorkerConfig.decode(text)
        #expect(decoded == config)
        #expect(try decoded.encoded() == text)
        #expect(text.hasPrefix(#"{"pool":{"name":"every-field","namespace":"shop"},"spec":{"agents":[{"#))
    }

    @Test("Text that YAML forbids survives, for the object came as JSON")
    func controlCharacters() throws {
        var config = config
        config.spec.agents[0].instructions = "del \u{7f}, nul \u{0}, \u{fffe}, \"quoted\", 😀, line\u{2028}"
        #expect(try WorkerConfig.decode(config.encoded()) == config)
    }

    @Test("A pool that is open on purpose stays open in the configuration")
    func openPool() throws {
        let spec = try AgentPoolSpec.parse(
            yaml: """
                agents: [{name: a, instructions: Help.}]
                ingress: {host: a.b}
                auth: {mode: None}
                """)
        let config = WorkerConfig(pool: PoolReference(name: "open"), spec: spec)
        #expect(try WorkerConfig.decode(config.encoded()) == config)
    }

    @Test("A field that an older configuration does not have takes its default")
    func missingFields() throws {
        let config = try WorkerConfig.decode(
            """
            version: 1
            pool: {name: support}
            spec: {agents: [{name: a, instructions: Help.}]}
            """)
        #expect(config.pool == PoolReference(namespace: "default", name: "support"))
        #expect(config.spec.memory.scope == "default/support")
        #expect(config.spec.memory.buffer.rounds == 10)
    }

    @Test("A newer version is refused with what to do, whatever else it holds")
    func newerVersion() throws {
        let error = try #require(throws: ManifestError.self) {
            try WorkerConfig.decode(#"{"version": 2, "pool": 7, "new": true}"#, file: "worker.json")
        }
        #expect(
            error.description
                == "worker.json: version: the version 2 is not readable by this agentpool, which reads version 1; run a newer agentpool, or let its own controller write the configuration"
        )
    }

    @Test("A build reads its own version and the one before, and the first build only its own")
    func readableVersions() {
        #expect(WorkerConfig.readableVersions(by: 1) == 1...1)
        #expect(WorkerConfig.readableVersions(by: 2) == 1...2)
        #expect(WorkerConfig.readableVersions(by: 5) == 4...5)
    }

    @Test(
        "A configuration is checked like a manifest",
        arguments: [
            (#"{"version": 1, "pool": {"name": "p"}, "spec": {"agents": []}}"#, "spec.agents"),
            (
                #"{"version": "1", "pool": {"name": "p"}, "spec": {"agents": [{"name": "a", "instructions": "x"}]}}"#,
                "version"
            ),
            (
                "version: 1\npool: {name: p}\nspec: {agents: [{name: a, instructions: x}], extra: 1}",
                "spec.extra"
            ),
            // Pods start no processes.
            (
                "version: 1\npool: {name: p}\nspec: {agents: [{name: a, instructions: x}], mcpServers: [{name: s, command: [s]}]}",
                "spec.mcpServers[0].command"
            ),
            ("", ""), ("{\"version\": 1", ""), ("a: 1\n---\nb: 2", ""),
        ])
    func checked(text: String, path: String) throws {
        let error = try #require(throws: ManifestError.self) { try WorkerConfig.decode(text) }
        #expect(error.problems.map(\.path) == [path], "\(error)")
    }
}

// What this version serves of a valid manifest.
import Testing

@testable import PoolAPI

@Suite struct CapabilityTests {
    private let support: AgentPoolSpec

    init() throws {
        support = try #require(try ManifestFile.parse(yaml: Golden.text("examples/support.yaml")).pools.first)
            .spec
    }

    @Test("A pool without the missing features is served whole")
    func minimal() throws {
        let spec = try AgentPoolSpec.parse(yaml: "agents: [{name: a, instructions: Help., tools: []}]")
        #expect(try spec.unsupported().isEmpty)
        #expect(try spec.clusterOnlyFields().isEmpty)
    }

    @Test("Each field that this version can't serve is refused by name, outermost first")
    func unsupported() throws {
        #expect(try support.unsupported().isEmpty)
        let tokens = try ManifestFile.parse(
            yaml: Golden.text("\(Golden.corpus)/valid/gateway-and-tokens.yaml"))
        #expect(try tokens.pools[0].spec.unsupported().map(\.path) == ["spec.auth.jwt"])
    }

    @Test("Embedded stores take the place of both servers and keep the time to live")
    func embedded() throws {
        var spec = support
        spec.memory.redis?.checkpointTTL = try #require(DurationText("72h"))
        let embedded = spec.embedded()
        #expect(embedded.memory.redis == nil && embedded.memory.milvus == nil)
        #expect(embedded.memory.checkpointTTL == .seconds(72 * 3600))
        #expect(try !embedded.unsupported().contains { $0.path.hasPrefix("spec.memory") })
    }

    @Test("The fields that only a cluster uses are named as far as the manifest gives them")
    func clusterOnly() throws {
        #expect(
            try support.clusterOnlyFields() == ["spec.autoscaling", "spec.ingress", "spec.pod"])
        let everything = try ManifestFile.parse(
            yaml: Golden.text("\(Golden.corpus)/valid/every-field-with-ingress.yaml"))
        #expect(
            try everything.pools[0].spec.clusterOnlyFields() == [
                "spec.memory.embedded.storage", "spec.memory.reclaimPolicy", "spec.replicas",
                "spec.autoscaling",
                "spec.ingress", "spec.drain.delay", "spec.image", "spec.pod",
            ])
    }
}

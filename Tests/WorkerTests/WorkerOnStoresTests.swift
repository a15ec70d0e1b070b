/// A worker whose memory is on servers: what one learned, another knows that shares nothing with it but them.
import Foundation
import TestSupport
import Testing
import Transport

@testable import Worker

private let environment = ProcessInfo.processInfo.environment

/// `AGENTPOOL_STORE_CLUSTER` and `AGENTPOOL_STORE_MILVUS` name the servers, as `host:port`.
@Suite(
    .enabled(
        if: environment["AGENTPOOL_STORE_CLUSTER"] != nil && environment["AGENTPOOL_STORE_MILVUS"] != nil))
struct WorkerOnStoresTests {
    @Test("A session goes on in another worker, and what was archived is recalled there")
    func handOver() async throws {
        let cluster = try #require(environment["AGENTPOOL_STORE_CLUSTER"])
        let milvus = try #require(environment["AGENTPOOL_STORE_MILVUS"])
        let name = UUID().uuidString.replacing("-", with: "").lowercased()
        let spec = """
            {agents: [{name: assistant, instructions: Help.}], auth: {mode: None},
             memory: {scope: test/\(name), buffer: {rounds: 2}, recall: {deadline: 30s, embeddingDeadline: 30s},
               redis: {mode: Cluster, addresses: ["\(cluster)"], waitReplicas: 1},
               milvus: {address: "http://\(milvus)", collection: c\(name)}}}
            """
        let user = [(name: "X-AgentPool-User", value: "ann")]
        try await LiveWorker.run(spec: spec) { worker async throws in
            for said in ["My locker code is 4711.", "I like tea."] {
                #expect(try await worker.chat(said, session: "first", headers: user).status == 200)
            }
        }
        try await LiveWorker.run(spec: spec) { worker async throws in
            let same = try await worker.chat("What is my locker code?", session: "first", headers: user)
            #expect(same.headers["x-memory-tier"] == "l2")
            #expect(same.body.contains("4711"))
            // Archived by the first worker, or by this one's maintenance where that one ended too early.
            for _ in 0..<100 {
                let other = try await worker.chat(
                    "What is my locker code?", session: UUID().uuidString, headers: user)
                if other.body.contains("4711") { return }
                try await Task.sleep(for: .milliseconds(200))
            }
            Issue.record("never recalled in another session")
        }
    }
}

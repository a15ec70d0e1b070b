import Foundation
import Logging
import Memory
import PoolAPI
import Testing

@testable import Agent

@Suite("Routing between agents") struct AgentRouterTests {
    private func router(_ routing: String, embedder: Embedder? = nil) throws -> AgentRouter {
        try AgentRouter(
            AgentPoolSpec.parse(
                yaml: """
                    routing: \(routing)
                    agents:
                    - {name: desk, instructions: You greet.}
                    - {name: billing, description: Invoices and payments., instructions: You bill.}
                    - name: repairs
                      description: Broken appliances and their repair.
                      instructions: You mend.
                      examples: [My washing machine makes a terrible noise, 洗衣机坏了]
                    """), embedder: embedder, logger: Logger(label: "tests"))
    }

    private func route(_ router: AgentRouter, _ text: String, active: String? = nil) async
        -> AgentRouter.Route
    {
        await router.route([Message(role: .user, content: text)], active: active, fallback: "desk")
    }

    @Test("Without routing a new session is the entry agent's, whatever is said")
    func entry() async throws {
        let router = try router("{}")
        #expect(await route(router, "Where is my invoice?") == .init(agent: "desk", reason: .fallback))
    }

    @Test("Rules go before descriptions, in their order")
    func rules() async throws {
        let router = try router(
            "{by: Description, rules: [{pattern: '(?i)urgent', agent: desk}, {pattern: '(?i)invoice', agent: repairs}]}"
        )
        #expect(await route(router, "URGENT: my invoice!") == .init(agent: "desk", reason: .rule(0)))
        #expect(await route(router, "my invoice") == .init(agent: "repairs", reason: .rule(1)))
        guard case .nearest(let score) = await route(router, "a payment").reason else {
            Issue.record("not by its description")
            return
        }
        #expect(score > 0.1 && score <= 1)
    }

    @Test("The nearest description or example wins; where none is near enough the entry agent has it")
    func nearest() async throws {
        let router = try router("{by: Description}")
        #expect(await route(router, "I have a question about payments").agent == "billing")
        #expect(await route(router, "the washing machine is noisy").agent == "repairs")
        #expect(await route(router, "我的洗衣机坏了").agent == "repairs")
        #expect(await route(router, "hello there") == .init(agent: "desk", reason: .fallback))
        #expect(await route(router, "") == .init(agent: "desk", reason: .fallback))
    }

    @Test("A session stays with its agent, unless every turn is routed; then where nothing fits it stays too")
    func sessions() async throws {
        let once = try router("{by: Description}")
        #expect(
            await route(once, "about payments", active: "repairs")
                == .init(agent: "repairs", reason: .fallback))
        let always = try router("{by: Description, when: EveryTurn}")
        #expect(await route(always, "about payments", active: "repairs").agent == "billing")
        #expect(await route(always, "hm", active: "repairs") == .init(agent: "repairs", reason: .fallback))
    }

    /// Knows money and machines, whatever they are called.
    private func meaning(_ delay: @escaping @Sendable () async throws -> Void = {}) -> Embedder {
        Embedder(model: "meaning", dimension: 2) { texts in
            try await delay()
            return texts.map { text in
                let isMoney = ["nvoice", "payment", "cash"].contains { text.contains($0) }
                return isMoney ? [1, 0] : [0, 1]
            }
        }
    }

    @Test("An embedding model of the pool's own finds what no word says")
    func byMeaning() async throws {
        let router = try router("{by: Description}", embedder: meaning())
        let route = await route(router, "all my cash is gone")
        #expect(route == .init(agent: "billing", reason: .nearest(score: 1)))
        #expect(try await self.route(self.router("{by: Description}"), "all my cash is gone").agent == "desk")
    }

    @Test("Where that model is late or fails, words decide")
    func fallsBackToWords() async throws {
        let late = meaning {
            // Ends by cancellation alone.
            while !Task.isCancelled { try await Task.sleep(for: .seconds(60)) }
        }
        let failing = meaning { throw Refused() }
        for embedder in [late, failing] {
            let router = try router("{by: Description}", embedder: embedder)
            #expect(await route(router, "the washing machine makes noise").agent == "repairs")
            #expect(await route(router, "all my cash is gone").agent == "desk")
        }
    }

    @Test(
        "On the labelled texts of the example it is right far more often than by chance",
        arguments: [("utterances", "dev", 5), ("utterances", "test", 5), ("everyday", "test", 2)])
    func labelled(file: String, group: String, of: Int) async throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../../examples/routing")
        let manifest = try String(contentsOf: folder.appending(path: "pool.yaml"), encoding: .utf8)
        let spec = try #require(ManifestFile.parse(yaml: manifest).pools.first).spec
        let router = try AgentRouter(spec, embedder: nil, logger: Logger(label: "tests"))
        let lines = try String(contentsOf: folder.appending(path: file + ".tsv"), encoding: .utf8)
            .split(separator: "\n").map { $0.split(separator: "\t", maxSplits: 2) }.filter { $0[1] == group }
        var right = 0
        for line in lines {
            let route = await router.route(
                [Message(role: .user, content: String(line[2]))], active: nil, fallback: spec.entryAgent)
            if route.agent == line[0] { right += 1 }
        }
        #expect(lines.count >= 150)
        // One in ten would be right by chance.
        #expect(right * of > lines.count, "\(right) of \(lines.count)")
    }

    @Test("What is wrong with routing is said with the field and the mend")
    func problems() {
        let manifest = """
            apiVersion: agentpool.dev/v1alpha1
            kind: AgentPool
            metadata: {name: p}
            spec:
              routing: {by: Description, rules: [{pattern: '(', agent: dask}]}
              agents: [{name: desk, instructions: You greet., agentTools: [desk], handoffs: [dusk]}]
            """
        do {
            _ = try ManifestFile.parse(yaml: manifest)
            Issue.record("it was taken")
        } catch {
            let text = error.description
            for part in [
                #"spec.routing.rules[0].agent: no agent is called "dask"; did you mean desk?"#,
                "spec.routing.rules[0].pattern: is no pattern: ",
                "spec.routing.by: no agent has a description; describe the agents, or set it to Entry",
                "spec.agents[0].agentTools[0]: an agent can't ask itself; remove it",
                #"spec.agents[0].handoffs[0]: no agent is called "dusk"; did you mean desk?"#,
            ] { #expect(text.contains(part), "\(text)") }
        }
    }
}

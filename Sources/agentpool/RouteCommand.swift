/// `agentpool route`: which agent a pool's routing chooses for some words, and how often it is the right one.
import Agent
import ArgumentParser
import Foundation
import Logging
import Memory
import PoolAPI
import Transport

struct RouteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "route", abstract: "Say which agent a conversation would begin with.",
        discussion: """
            Prints a line for each text: the agent, why it is chosen, and the text. With --labelled it prints how many of a file's texts go to \
            the agents that the file names, by the file's groups, and how long a decision takes.
            """)

    @Option(name: [.customShort("f"), .customLong("file")], help: "The manifest; - reads standard input.")
    var file: String

    @Option(help: "A file of lines AGENT, tab, GROUP, tab, TEXT.")
    var labelled: String?

    @Flag(help: "With --labelled: also each text that goes to another agent.")
    var misses = false

    @Argument(help: "What a user says first.")
    var text: [String] = []

    func validate() throws {
        guard labelled != nil || !text.isEmpty else {
            throw ValidationError("Give a text, or a file of texts by --labelled.")
        }
    }

    func run() async throws {
        let (pool, secrets, _) = try Configuration.manifest(file)
        let router: AgentRouter
        do { router = try Self.router(pool.spec, secrets) } catch {
            throw Configuration.failure("\(file): \(error)")
        }
        func route(_ text: String) async -> AgentRouter.Route {
            await router.route(
                [Message(role: .user, content: text)], active: nil, fallback: pool.spec.entryAgent)
        }
        for text in text {
            let route = await route(text)
            print("\(route.agent)\t\(route.reason.text)\t\(text)")
        }
        guard let labelled else { return }
        let cases = try LabelledText.read(labelled, agents: pool.spec.agents.map(\.name))
        var groups: [String: (right: Int, all: Int)] = [:]
        var times: [Duration] = []
        for one in cases {
            let started = ContinuousClock.now
            let route = await route(one.text)
            times.append(started.duration(to: .now))
            groups[one.group, default: (0, 0)].all += 1
            if route.agent == one.agent {
                groups[one.group, default: (0, 0)].right += 1
            } else if misses {
                print("\(one.agent)\t\(route.agent)\t\(route.reason.text)\t\(one.text)")
            }
        }
        for (group, count) in groups.sorted(by: { $0.key < $1.key }) {
            let part = (Double(count.right) / Double(count.all) * 1000).rounded() / 10
            print("\(group): \(count.right) of \(count.all) (\(part)%)")
        }
        times.sort()
        let (median, late) = (times[times.count / 2], times[times.count * 99 / 100])
        print("a decision: median \(median), p99 \(late), longest \(times[times.count - 1])")
    }

    private static func router(
        _ spec: AgentPoolSpec, _ secrets: [String: [String: String]]
    ) throws -> AgentRouter {
        let logger = Logger(label: "agentpool")
        let embedder = try spec.routing.embeddingModel.map { name in
            try Embedder(
                spec, model: name, field: "spec.routing.embeddingModel",
                secrets: { secrets[$0.name]?[$0.key] }, http: HTTPClient(logger: logger))
        }
        return try AgentRouter(spec, embedder: embedder, logger: logger)
    }
}

/// A text with the agent that it should go to.
private struct LabelledText {
    var agent: String
    var group: String
    var text: String

    static func read(_ path: String, agents: [String]) throws -> [LabelledText] {
        guard let content = try? String(contentsOfFile: path, encoding: .utf8) else {
            // Whatever the reason, the file is what has to be mended.
            throw Configuration.failure("\(path): can't be read; give a readable file of lines")
        }
        let lines = content.split(separator: "\n", omittingEmptySubsequences: false).enumerated().filter {
            !$0.element.isEmpty
        }
        guard !lines.isEmpty else { throw Configuration.failure("\(path): holds no lines; give some texts") }
        return try lines.map { index, line in
            let fields = line.split(separator: "\t", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3, agents.contains(String(fields[0])) else {
                throw Configuration.failure(
                    "\(path):\(index + 1): is not AGENT, tab, GROUP, tab, TEXT with one of the pool's agents")
            }
            return LabelledText(
                agent: String(fields[0]), group: String(fields[1]), text: String(fields[2]))
        }
    }
}

extension AgentRouter.Route.Reason {
    fileprivate var text: String {
        switch self {
        case .rule(let index): "rule \(index)"
        case .nearest(let score): "description \((score * 100).rounded() / 100)"
        case .fallback: "nothing fits"
        }
    }
}

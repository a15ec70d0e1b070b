/// Decides which agent takes a turn that names none: by the rules of the manifest, else the one whose description is nearest.
import Logging
import Memory
import PoolAPI

/// Built once from the manifest. A decision asks no chat model; without an embedding model of the pool's own it waits for nothing.
public struct AgentRouter: Sendable {
    /// An agent, and why.
    public struct Route: Sendable, Equatable {
        public enum Reason: Sendable, Equatable {
            /// The manifest's `routing.rules`, by index.
            case rule(Int)
            /// How well the agent's description or one of its examples fits the words: more than `routing.minScore`, 1 at most.
            case nearest(score: Double)
            /// Nothing fits: the pool's entry agent, or in a session that goes on, whoever spoke last.
            case fallback
        }

        public var agent: String
        public var reason: Reason
    }

    private struct Rule: Sendable {
        let agent: String
        let pattern: LinearPattern
    }

    private let rules: [Rule]
    private let byWords: NearestAgent?
    private let byMeaning: NearestByMeaning?
    private let minScore: Double
    private let routesEveryTurn: Bool

    /// - Parameter embedder: of `spec.routing.embeddingModel`; nil where it names none.
    /// - Throws: `InputGuard.InvalidRule` with the field of a pattern that is none.
    public init(
        _ spec: AgentPoolSpec, embedder: Embedder?, logger: Logger
    ) throws(InputGuard.InvalidRule) {
        var rules: [Rule] = []
        for (index, rule) in spec.routing.rules.enumerated() {
            do throws(PatternError) {
                rules.append(Rule(agent: rule.agent, pattern: try LinearPattern(rule.pattern)))
            } catch {
                throw InputGuard.InvalidRule(
                    field: "spec.routing.rules[\(index)].pattern", reason: error.message)
            }
        }
        self.rules = rules
        let isByDescription = spec.routing.by == .description
        byWords = isByDescription ? NearestAgent(spec.agents) : nil
        byMeaning =
            if isByDescription, let embedder {
                NearestByMeaning(
                    spec.agents, embedder: embedder,
                    deadline: spec.memory.recall.embeddingDeadline.duration, logger: logger)
            } else {
                nil
            }
        minScore = spec.routing.minScore
        routesEveryTurn = spec.routing.when == .everyTurn
    }

    /// - Parameters:
    ///   - messages: what is new in the turn.
    ///   - active: who spoke last; nil in a new session.
    ///   - fallback: who speaks where nothing fits.
    public func route(_ messages: [Message], active: String?, fallback: String) async -> Route {
        if let active, !routesEveryTurn { return Route(agent: active, reason: .fallback) }
        // Answers of a client's functions are for whoever called them.
        guard !rules.isEmpty || byWords != nil, messages.contains(where: { $0.role == .user }) else {
            return Route(agent: active ?? fallback, reason: .fallback)
        }
        let text = Sentences.bounded(
            messages.lazy.filter { $0.role == .user }.map(\.content).joined(separator: "\n"),
            bytes: Self.maximumBytes)
        if let index = rules.firstIndex(where: { $0.pattern.isFound(in: text) }) {
            return Route(agent: rules[index].agent, reason: .rule(index))
        }
        let meant = text.isEmpty ? nil : await byMeaning?.best(for: text)
        if let best = meant ?? byWords?.best(for: text), best.score >= minScore {
            return Route(agent: best.agent, reason: .nearest(score: best.score))
        }
        return Route(agent: active ?? fallback, reason: .fallback)
    }

    /// Of a message; what it is about stands at its start.
    private static let maximumBytes = 2000
}

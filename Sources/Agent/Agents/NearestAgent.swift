/// Finds the agent whose description and examples are nearest to some words: by the words that they share, rare ones first.
import Foundation
import PoolAPI

/// Each agent is a few texts and their mean, as weights of terms (tf-idf): a term that most agents use tells nothing about which
/// of them is meant. On the labelled texts in `examples/routing` this is more often right than the built-in embedding, whose
/// pieces of words meet by chance in texts as short as these.
struct NearestAgent: Sendable {
    private typealias Terms = [String: Float]

    private struct Candidate: Sendable {
        let name: String
        let texts: [Terms]
        let mean: Terms
    }

    private let weights: Terms
    private let candidates: [Candidate]

    /// How much the nearest of an agent's texts counts beside their mean.
    static let nearestShare: Float = 0.3

    /// What an agent says of itself; nothing of one that is never the nearest.
    static func texts(of agent: AgentPoolSpec.Agent) -> [String] {
        ([agent.description] + agent.examples).filter { !$0.isEmpty }
    }

    init(_ agents: [AgentPoolSpec.Agent]) {
        let described = agents.map { agent in
            let name = agent.name.replacing("-", with: " ")
            let texts = Self.texts(of: agent)
            return (agent.name, texts.isEmpty ? [] : (texts + [name]).map(Self.counts))
        }.filter { !$0.1.isEmpty }
        var having: [String: Int] = [:]
        for (_, texts) in described {
            for term in Set(texts.lazy.flatMap(\.keys)) { having[term, default: 0] += 1 }
        }
        let weights = having.mapValues { logf(1 + Float(described.count) / Float($0)) }
        self.weights = weights
        candidates = described.map { name, counts in
            let texts = counts.map { Self.weighted($0, by: weights) }
            let sum = texts.reduce(into: Terms()) { sum, text in sum.merge(text, uniquingKeysWith: +) }
            return Candidate(name: name, texts: texts, mean: Self.unit(sum))
        }
    }

    /// Nil where no agent shares a word with the text. The score is 1 at most.
    func best(for text: String) -> (agent: String, score: Double)? {
        let query = Self.weighted(Self.counts(text), by: weights)
        let scored = candidates.map { candidate in
            let nearest = candidate.texts.lazy.map { Self.product(query, $0) }.max() ?? 0
            let mean = Self.product(query, candidate.mean)
            return (candidate.name, Double(Self.nearestShare * nearest + (1 - Self.nearestShare) * mean))
        }
        return scored.max { $0.1 < $1.1 }.flatMap { $0.1 > 0 ? $0 : nil }
    }

    private static func counts(_ text: String) -> Terms {
        var counts: Terms = [:]
        for term in Lexicon.contentTerms(of: text) { counts[term, default: 0] += 1 }
        return counts.mapValues { 1 + logf($0) }
    }

    /// A term that no agent has counts too: it is a part of the text about which they say nothing.
    private static func weighted(_ counts: Terms, by weights: Terms) -> Terms {
        unit(Terms(uniqueKeysWithValues: counts.map { ($0.key, $0.value * (weights[$0.key] ?? 1)) }))
    }

    private static func unit(_ terms: Terms) -> Terms {
        let length = terms.values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return length > 0 ? terms.mapValues { $0 / length } : terms
    }

    private static func product(_ one: Terms, _ other: Terms) -> Float {
        one.reduce(0) { $0 + $1.value * (other[$1.key] ?? 0) }
    }
}

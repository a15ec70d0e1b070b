/// Finds the agent whose description and examples are nearest to some words by an embedding model of the pool.
import Logging
import Memory
import PoolAPI
import Synchronization

/// The agents' own vectors are made with the first question, and kept. Safe to use from any task.
final class NearestByMeaning: Sendable {
    private struct Candidate: Sendable {
        let name: String
        let texts: [[Float]]
        let mean: [Float]
    }

    private let agents: [(name: String, texts: [String])]
    private let embedder: Embedder
    private let deadline: Duration
    private let logger: Logger
    private let known = Mutex<[Candidate]?>(nil)

    init(_ agents: [AgentPoolSpec.Agent], embedder: Embedder, deadline: Duration, logger: Logger) {
        self.agents = agents.map { ($0.name, NearestAgent.texts(of: $0)) }.filter { !$0.texts.isEmpty }
        self.embedder = embedder
        self.deadline = deadline
        self.logger = logger
    }

    /// Nil where the model gives no answer within the deadline. The score is 1 at most.
    func best(for text: String) async -> (agent: String, score: Double)? {
        do {
            let candidates = try await candidates()
            let embed = embedder.embed
            guard let query = try await withDeadline(deadline, { try await embed([text]) }).first else {
                return nil
            }
            let scored = candidates.map { candidate in
                let nearest = candidate.texts.map { Self.product($0, query) }.max() ?? 0
                let share = NearestAgent.nearestShare
                let score = share * nearest + (1 - share) * Self.product(candidate.mean, query)
                return (candidate.name, Double(score))
            }
            return scored.max { $0.1 < $1.1 }
        } catch {
            logger.warning("routing goes by words alone", metadata: ["reason": "\(error)"])
            return nil
        }
    }

    /// Several first questions at once each make them; any of the results will do.
    private func candidates() async throws -> [Candidate] {
        if let known = known.withLock({ $0 }) { return known }
        let (embed, texts) = (embedder.embed, agents.flatMap(\.texts))
        // A hundred texts take a model longer than one.
        var vectors = try await withDeadline(deadline * 20) { try await embed(texts) }[...]
        let made = agents.map { agent in
            let own = Array(vectors.prefix(agent.texts.count))
            vectors = vectors.dropFirst(agent.texts.count)
            var mean = [Float](repeating: 0, count: embedder.dimension)
            for vector in own { for axis in mean.indices { mean[axis] += vector[axis] } }
            let length = Self.product(mean, mean).squareRoot()
            return Candidate(
                name: agent.name, texts: own, mean: length > 0 ? mean.map { $0 / length } : mean)
        }
        known.withLock { $0 = made }
        return made
    }

    private static func product(_ one: [Float], _ other: [Float]) -> Float {
        var sum: Float = 0
        for axis in one.indices { sum += one[axis] * other[axis] }
        return sum
    }
}

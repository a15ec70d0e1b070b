/// How a recall's findings are written for other workers: JSON, without what a digest of the principal already says.
import Foundation

enum RecallCoding {
    static func encode(_ findings: IndexFindings) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return String(decoding: try encoder.encode(Kept(findings)), as: UTF8.self)
    }

    /// Nil where the text is none of ours: then the index is asked.
    static func decode(_ text: String, _ scope: Scope) -> IndexFindings? {
        // A cache of another version's making is a miss.
        guard let kept = try? JSONDecoder().decode(Kept.self, from: Data(text.utf8)) else { return nil }
        return kept.findings(scope)
    }

    private struct Kept: Codable {
        var hits: [Hit]
        var statistics: Statistics?
        var byVector: Bool

        init(_ findings: IndexFindings) {
            hits = findings.hits.map(Hit.init)
            statistics = findings.statistics.map(Statistics.init)
            byVector = findings.byVector
        }

        func findings(_ scope: Scope) -> IndexFindings {
            IndexFindings(
                hits: hits.map { $0.hit(scope) }, statistics: statistics?.statistics, byVector: byVector)
        }
    }

    private struct Hit: Codable {
        var id: String
        var session: Digest128
        var name: String
        var generation: Int64
        var agent: String
        var first: Int
        var last: Int
        var time: Int64
        var summary: String
        var entities: [String]
        var text: String
        var similarity: Double?
        var relevance: Double?
        var passage: Double?

        init(_ hit: IndexHit) {
            let row = hit.row
            (id, session, name) = (row.id, row.scope.session, row.scope.sessionID)
            (generation, agent, first, last) = (row.generation, row.agent, row.firstTurn, row.lastTurn)
            (time, summary, entities, text) = (row.time, row.summary, row.entities, row.text)
            (similarity, relevance, passage) = (hit.similarity, hit.relevance, hit.passage)
        }

        func hit(_ scope: Scope) -> IndexHit {
            let row = MemoryRow(
                id: id, scope: Scope(principal: scope.principal, session: session, sessionID: name),
                generation: generation, agent: agent, firstTurn: first, lastTurn: last, time: time,
                summary: summary, entities: entities, text: text)
            return IndexHit(row: row, similarity: similarity, relevance: relevance, passage: passage)
        }
    }

    private struct Statistics: Codable {
        var documents: Int
        var frequencies: [String: Int]
        var lines: Int
        var lineFrequencies: [String: Int]
        var passages: Int
        var passageTerms: Int

        init(_ statistics: TermStatistics) {
            (documents, frequencies) = (statistics.documents, statistics.frequencies)
            (lines, lineFrequencies) = (statistics.lines, statistics.lineFrequencies)
            (passages, passageTerms) = (statistics.passages, statistics.passageTerms)
        }

        var statistics: TermStatistics {
            var statistics = TermStatistics(documents: documents, frequencies: frequencies)
            (statistics.lines, statistics.lineFrequencies) = (lines, lineFrequencies)
            (statistics.passages, statistics.passageTerms) = (passages, passageTerms)
            return statistics
        }
    }
}

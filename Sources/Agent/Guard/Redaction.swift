/// Cuts what `spec.guard.redact` names out of texts, and counts what it cut by the rules' names.
import Memory
import PoolAPI
import Synchronization

/// One for the worker's life. Safe to use from any task.
public struct Redaction: Sendable {
    private struct Rule: Sendable {
        let name: String
        let pattern: LinearPattern
        let replacement: String
    }

    private let rules: [Rule]
    private let counted = Counts()
    /// Characters of a reply that wait for what follows them.
    let holdBack: Int

    private final class Counts: Sendable {
        let byRule = Mutex<[String: Int]>([:])
    }

    /// A match with what stands in its place.
    struct Match {
        var range: Range<String.Index>
        var replacement: String
        fileprivate var rule: Int
    }

    /// Compiles the patterns. Throws an error that names the field of one that is none.
    public init(_ guard: AgentPoolSpec.Guard) throws(InputGuard.InvalidRule) {
        holdBack = `guard`.redactHoldBack
        var rules: [Rule] = []
        for (index, rule) in `guard`.redact.enumerated() {
            do throws(PatternError) {
                rules.append(
                    Rule(
                        name: rule.name, pattern: try LinearPattern(rule.pattern),
                        replacement: rule.replacement))
            } catch {
                throw InputGuard.InvalidRule(
                    field: "spec.guard.redact[\(index)].pattern", reason: error.message)
            }
        }
        self.rules = rules
    }

    /// There are no rules: every text stays as it is.
    public var isIdle: Bool { rules.isEmpty }

    /// How often each rule has cut something, by its name. Counted again where the same text comes by again.
    public var counts: [String: Int] { counted.byRule.withLock { $0 } }

    /// The text without what the rules name. What was redacted before stays as it is.
    public func redacted(_ text: String) -> String {
        guard !isIdle else { return text }
        let matches = matches(in: text)
        guard !matches.isEmpty else { return text }
        var redacted = ""
        var place = text.startIndex
        for match in matches {
            redacted += text[place..<match.range.lowerBound]
            redacted += match.replacement
            place = match.range.upperBound
            count(match)
        }
        return redacted + text[place...]
    }

    /// Matches that don't overlap, in the text's order: the earliest first, of equals the first rule's.
    ///
    /// - Parameter start: patterns may look at what stands before it, but no match begins there, and none that would hides another; nil
    ///   for the text's own start.
    func matches(in text: String, from start: String.Index? = nil) -> [Match] {
        let start = start ?? text.startIndex
        var found: [Match] = []
        for (index, rule) in rules.enumerated() {
            found += Self.ranges(of: rule.pattern, in: text, from: start).map {
                Match(range: $0, replacement: rule.replacement, rule: index)
            }
        }
        guard found.count > 1 else { return found }
        found.sort { ($0.range.lowerBound, $0.rule) < ($1.range.lowerBound, $1.rule) }
        var end = start
        return found.filter { match in
            guard match.range.lowerBound >= end else { return false }
            end = match.range.upperBound
            return true
        }
    }

    /// A pattern's matches that begin at `start` or after it.
    private static func ranges(
        of pattern: LinearPattern, in text: String, from start: String.Index
    ) -> [Range<String.Index>] {
        let ranges = pattern.ranges(in: text)
        let following = ranges.filter { $0.lowerBound >= start }
        guard ranges.contains(where: { $0.lowerBound < start && $0.upperBound > start }) else {
            return following
        }
        // One that begins before the start and reaches over it has swallowed what the pattern would find behind it: the rest is searched
        // by itself too, as if it stood at a text's begin.
        let rest = String(text[start...])
        func place(_ index: String.Index) -> String.Index {
            text.utf8.index(start, offsetBy: rest.utf8.distance(from: rest.startIndex, to: index))
        }
        return following + pattern.ranges(in: rest).map { place($0.lowerBound)..<place($0.upperBound) }
    }

    func count(_ match: Match) {
        counted.byRule.withLock { $0[rules[match.rule].name, default: 0] += 1 }
    }

    /// All that people or models have written in it: content, name, and the arguments of calls. Ids stay.
    public func redacted(_ message: Message) -> Message {
        guard !isIdle else { return message }
        var message = message
        message.content =
            message.role == .tool ? redacted(answer: message.content) : redacted(message.content)
        message.name = message.name.map { redacted($0) as String }
        message.toolCalls = message.toolCalls?.map { call in
            var call = call
            call.arguments = redacted(json: call.arguments)
            return call
        }
        return message
    }
}

extension ToolSource {
    /// The source whose answers come without what the rules name.
    func redacted(by redaction: Redaction) -> ToolSource {
        guard !redaction.isIdle else { return self }
        var source = self
        source.call = { [call] tool, arguments, limit, tell in
            var result = await call(tool, arguments, limit) { progress in
                var progress = progress
                progress.message = progress.message.map { redaction.redacted($0) }
                tell(progress)
            }
            result.text = redaction.redacted(answer: result.text)
            return result
        }
        return source
    }
}

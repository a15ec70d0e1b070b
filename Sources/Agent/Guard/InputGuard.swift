import Memory
import PoolAPI

/// Decides about a turn's new messages before anything else runs: refused by which rule, or admitted with or
/// without recall.
public struct InputGuard: Sendable {
    public enum Verdict: Equatable, Sendable {
        case admitted
        case refused(Refusal)
    }

    /// The rule that was broken, as the client is told.
    public struct Refusal: Equatable, Sendable {
        /// The manifest's field: `guard.maxInputCharacters`, `guard.forbiddenPatterns[2]`.
        public var rule: String
        public var message: String
    }

    /// A rule that can't be applied; found when the worker starts.
    public struct InvalidRule: Error, Equatable, CustomStringConvertible {
        public var field: String
        public var reason: String

        public var description: String {
            "\(field): \(reason); mend the pattern"
        }
    }

    private let maxInputCharacters: Int
    private let forbidden: [Pattern]

    /// A pattern with the field that holds it.
    private struct Pattern: Sendable {
        let field: String
        let pattern: LinearPattern
    }

    /// Compiles the patterns, once for the worker's life.
    public init(_ rules: AgentPoolSpec.Guard) throws(InvalidRule) {
        maxInputCharacters = rules.maxInputCharacters
        var forbidden: [Pattern] = []
        for (index, pattern) in rules.forbiddenPatterns.enumerated() {
            let field = "guard.forbiddenPatterns[\(index)]"
            do throws(PatternError) {
                forbidden.append(Pattern(field: field, pattern: try LinearPattern(pattern)))
            } catch {
                throw InvalidRule(field: "spec." + field, reason: error.message)
            }
        }
        self.forbidden = forbidden
    }

    public func judge(_ messages: [Message]) -> Verdict {
        if isTooLong(messages) {
            return .refused(
                Refusal(
                    rule: "guard.maxInputCharacters",
                    message:
                        "The new messages, with the client's own instructions and functions, have more than \(maxInputCharacters) "
                        + "characters (rule guard.maxInputCharacters). Shorten them."
                ))
        }
        for rule in forbidden where messages.contains(where: { rule.pattern.isFound(in: $0.content) }) {
            return .refused(
                Refusal(
                    rule: rule.field,
                    message: "A message contains what this agent may not be sent (rule \(rule.field))."))
        }
        return .admitted
    }

    /// Whether memories could help, whatever the rules say.
    static func wantsMemory(_ messages: [Message]) -> Bool {
        messages.contains { $0.role == .user && MemoryWish.isWorthRecalling($0.content) }
    }

    /// What the user says now and the client's own instructions count; a history that the client sends along and answers of its functions
    /// don't, as the pool's history and its tools' answers don't. Scalars are never more than bytes, so most messages are admitted without
    /// being walked through.
    private func isTooLong(_ all: [Message]) -> Bool {
        let new = all.lastIndex { $0.role == .assistant }.map { $0 + 1 } ?? 0
        let messages = all.enumerated().lazy.filter { index, message in
            message.role == .system || index >= new && message.role == .user
        }.map(\.element)
        let bytes = messages.reduce(0) { $0 + $1.content.utf8.count }
        if bytes <= maxInputCharacters { return false }
        return messages.reduce(0) { $0 + $1.content.unicodeScalars.count } > maxInputCharacters
    }
}

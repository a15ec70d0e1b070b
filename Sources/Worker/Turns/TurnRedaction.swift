/// Cuts what `spec.guard.redact` names out of what a turn is asked with, before anything else sees it.
import Agent
import Crypto
import Memory

extension TurnOrder {
    /// The members of our own APIs' bodies that hold what people say; all others name things.
    private static let saidMembers: Set<String> = ["input", "reason"]

    /// Ids, the agent's name and the end user's stay: they say whose the turn is. `prior` stays too, until it is known what of it the
    /// history has.
    func redacted(by redaction: Redaction) -> TurnOrder {
        guard !redaction.isIdle else { return self }
        var order = self
        order.new = new.map { redaction.redacted($0) }
        order.instructions = instructions.map { redaction.redacted($0) }
        order.functions = redaction.redacted(functions)
        order.overrides.stop = overrides.stop.map { redaction.redacted($0) }
        order.decisions = decisions?.mapValues { decision in
            if case .refused(let reason) = decision {
                .refused(reason: redaction.redacted(reason))
            } else {
                decision
            }
        }
        // It was read as JSON before.
        order.request = request.flatMap { redaction.redacted(json: $0, members: Self.saidMembers) ?? $0 }
        // A digest of the body would tell what was cut out of it to whoever tries all that it may have been.
        order.digest = digest.map { _ in order.redactedDigest }
        return order
    }

    /// Tells turns apart by their place in the conversation and by what is new, as it is stored.
    private var redactedDigest: String {
        var hash = SHA256()
        for text in [agent ?? "", instructions ?? "", after?.value ?? "", "\(prior.count)"]
            + functions.functions.flatMap({ [$0.name, $0.description, $0.parameters] })
            + new.flatMap({
                [$0.role.rawValue, $0.toolCallID ?? "", $0.content]
            })
        {
            hash.update(data: Array("\(text.utf8.count):\(text)".utf8))
        }
        return hash.finalize().hexPrefix
    }
}

extension Redaction {
    /// A client's history as it would be stored. What the history holds was redacted then, and is not looked through again.
    func redacted(_ prior: [Message], except history: [StoredTurn]) -> [Message] {
        guard !isIdle, !prior.isEmpty else { return prior }
        let known = Set(history.lazy.flatMap(\.turn.shown).map(\.content))
        return prior.map { known.contains($0.content) && $0.toolCalls == nil ? $0 : redacted($0) }
    }
}

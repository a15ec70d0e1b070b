/// What is remembered of a pool's status: whether it would change, and since when its conditions are as they are.
import Kubernetes
import PoolAPI

struct StatusRecord: Sendable, Equatable {
    /// Of the status as it was read or written.
    var digest: UInt64
    var observedGeneration: Int?
    var activeSessions: Int?
    var conditions: [ConditionRecord]

    struct ConditionRecord: Sendable, Equatable {
        var type: ConditionType
        /// `True`, `False` or `Unknown`: small enough to need no memory of its own.
        var status: String
        /// Of reason and message.
        var wording: UInt64
        var since: Timestamp
    }

    init(_ status: AgentPoolStatus) {
        digest = Fingerprint.of(status.json.bytes())
        observedGeneration = status.observedGeneration
        activeSessions = status.activeSessions
        conditions = (status.conditions ?? []).compactMap { condition in
            guard let type = ConditionType(rawValue: condition.type),
                let since = Timestamp(condition.lastTransitionTime)
            else { return nil }
            return ConditionRecord(
                type: type, status: condition.status, wording: condition.wording, since: since)
        }
    }

    subscript(type: ConditionType) -> ConditionRecord? { conditions.first { $0.type == type } }
}

enum ConditionType: String, Sendable, CaseIterable {
    case ready = "Ready"
    case reconciling = "Reconciling"
    case stalled = "Stalled"
    case available = "Available"
    case degraded = "Degraded"
    case nameConflict = "NameConflict"
    case affinityUnavailable = "AffinityUnavailable"
    case ephemeral = "Ephemeral"
}

/// A short digest (FNV-1a, 64 bits) that tells texts of our own making apart; not for what others may choose.
enum Fingerprint {
    static func of(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}

extension AgentPoolStatus.Condition {
    /// Changes with the reason or the message.
    var wording: UInt64 { Fingerprint.of("\(reason)\n\(message)".utf8) }

    fileprivate var json: JSONValue {
        var json: JSONValue = [
            "type": .string(type), "status": .string(status), "reason": .string(reason),
            "message": .string(message), "lastTransitionTime": .string(lastTransitionTime),
        ]
        if let observedGeneration { json["observedGeneration"] = .integer(observedGeneration) }
        return json
    }
}

extension AgentPoolStatus {
    /// As the API takes it; absent fields are left out.
    var json: JSONValue {
        var json: JSONValue = [:]
        let numbers: [(String, Int?)] = [
            ("observedGeneration", observedGeneration), ("replicas", replicas),
            ("readyReplicas", readyReplicas), ("updatedReplicas", updatedReplicas),
            ("activeSessions", activeSessions),
        ]
        for (name, value) in numbers where value != nil { json[name] = value.map(JSONValue.integer) }
        if let selector { json["selector"] = .string(selector) }
        if let url { json["url"] = .string(url) }
        if let conditions { json["conditions"] = .array(conditions.map(\.json)) }
        return json
    }
}

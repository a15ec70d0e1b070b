/// Says what a pool's status is: counts, conditions that kstatus tools read, and since when each of them holds.
import Kubernetes
import PoolAPI

/// Everything that a pool's status is made of.
struct StatusInput: Sendable {
    var name: String
    var generation: Int
    /// Nil where the spec could not be read; then the last Deployment still counts.
    var url: String?
    var deployment: DeploymentRecord?
    var findings: [Finding]
    /// Whether the roll-out of a new version of the operator waits for others.
    var isHeldBack: Bool
    /// Whether some step was put off or failed in a way that another attempt may mend.
    var isUnfinished: Bool
    /// Nil before the pool was asked for the first time.
    var activeSessions: Int?
    var previous: StatusRecord

    func status(_ now: Timestamp) -> AgentPoolStatus {
        AgentPoolStatus(
            observedGeneration: generation, replicas: deployment?.replicas ?? 0,
            readyReplicas: deployment?.ready ?? 0, updatedReplicas: deployment?.updated ?? 0,
            selector: PoolNames.podSelector(name), url: url,
            activeSessions: activeSessions ?? previous.activeSessions,
            conditions: verdicts.map { type, verdict in
                let known = previous[type]
                let word = verdict.holds ? "True" : "False"
                let since = known?.status == word ? known?.since : nil
                return AgentPoolStatus.Condition(
                    type: type.rawValue, status: word, reason: verdict.reason, message: verdict.message,
                    lastTransitionTime: (since ?? now).inSeconds, observedGeneration: generation)
            })
    }

    /// What became worse since the status was written last, and that the pool became ready, as Events.
    func news(_ status: AgentPoolStatus) -> [EventNote] {
        func isNew(_ type: ConditionType) -> Bool {
            guard let condition = status.conditions?.first(where: { $0.type == type.rawValue }),
                condition.status == "True"
            else { return false }
            let known = previous[type]
            return known?.status != "True" || (type != .ready && known?.wording != condition.wording)
        }
        var notes: [EventNote] = []
        if isNew(.stalled) || isNew(.nameConflict) {
            notes += findings.filter(\.stalls).prefix(Self.most).map {
                EventNote(.warning, $0.reason.rawValue, $0.text)
            }
        }
        if isNew(.degraded) {
            notes += findings.filter(\.degrades).prefix(Self.most).map {
                EventNote(.warning, $0.reason.rawValue, $0.text)
            }
        }
        if isNew(.ephemeral) {
            notes += findings.filter { $0.reason == .ephemeral }.map {
                EventNote(.warning, "Ephemeral", $0.text)
            }
        }
        if isNew(.ready) { notes.append(EventNote(.normal, "Ready", "The pool serves as its spec says.")) }
        return notes
    }
}

extension StatusInput {
    /// Findings that are named in full in a condition or an Event each.
    private static let most = 5

    fileprivate struct Verdict {
        var holds: Bool
        var reason: String
        var message: String

        init(_ holds: Bool, _ reason: String, _ message: String) {
            self.holds = holds
            self.reason = reason
            self.message = message
        }
    }

    private var verdicts: [(ConditionType, Verdict)] {
        let stalled = stalledVerdict
        let reconciling = reconcilingVerdict(isStalled: stalled.holds)
        let available = availableVerdict
        let degraded = degradedVerdict
        var all = [
            (ConditionType.ready, readyVerdict(stalled, reconciling, available)),
            (.reconciling, reconciling), (.stalled, stalled), (.available, available), (.degraded, degraded),
        ]
        let extra: [(ConditionType, Finding.Reason)] = [
            (.nameConflict, .nameConflict), (.affinityUnavailable, .affinityUnavailable),
            (.ephemeral, .ephemeral),
        ]
        // Present only while they hold, so that a pool in order has nothing odd to read.
        for (type, reason) in extra {
            let found = findings.filter { $0.reason == reason }
            if !found.isEmpty { all.append((type, Verdict(true, reason.rawValue, words(found)))) }
        }
        return all
    }

    private var stalledVerdict: Verdict {
        let found = findings.filter(\.stalls)
        guard let first = found.first else {
            return Verdict(false, "NotStalled", "Nothing stands in the way.")
        }
        return Verdict(true, first.reason.rawValue, words(found))
    }

    private func reconcilingVerdict(isStalled: Bool) -> Verdict {
        if findings.contains(where: { $0.reason == .invalidSpec }) {
            return Verdict(false, "Stalled", "Waits for another spec.")
        }
        if isHeldBack {
            return Verdict(
                true, "WaitingForOtherPools", "The operator's new version reaches a few pools at a time.")
        }
        if isUnfinished { return Verdict(true, "Applying", "Some objects are not yet as the spec says.") }
        guard let deployment else {
            return isStalled
                ? Verdict(false, "Stalled", "Waits for the cause to be removed.")
                : Verdict(true, "Applying", "The Deployment is not there yet.")
        }
        if deployment.stalled != nil {
            return Verdict(false, "Stalled", "The Deployment's roll-out stands still.")
        }
        if !deployment.isRolledOut {
            return Verdict(true, "RollingOut", "Pods of the newest configuration are being started.")
        }
        return Verdict(false, "UpToDate", "Everything is as the spec says.")
    }

    private var availableVerdict: Verdict {
        guard let deployment else { return Verdict(false, "NoDeployment", "There is no Deployment yet.") }
        return deployment.available > 0
            ? Verdict(true, "PodsAvailable", "Pods take turns.")
            : Verdict(false, "NoPodAvailable", "No pod takes turns.")
    }

    private var degradedVerdict: Verdict {
        if let deployment, deployment.isRolledOut || deployment.stalled != nil,
            deployment.ready < deployment.wanted
        {
            return Verdict(
                true, "PodsNotReady", "\(deployment.ready) of \(deployment.wanted) pods are ready.")
        }
        let found = findings.filter(\.degrades)
        guard let first = found.first else { return Verdict(false, "AsExpected", "Nothing is amiss.") }
        return Verdict(true, first.reason.rawValue, words(found))
    }

    private func readyVerdict(_ stalled: Verdict, _ reconciling: Verdict, _ available: Verdict) -> Verdict {
        if stalled.holds { return Verdict(false, stalled.reason, stalled.message) }
        if reconciling.holds { return Verdict(false, reconciling.reason, reconciling.message) }
        if !available.holds { return Verdict(false, available.reason, available.message) }
        return Verdict(true, "Ready", "The pool serves as its spec says.")
    }

    private func words(_ findings: [Finding]) -> String {
        var lines = findings.prefix(Self.most).map(\.text)
        if findings.count > Self.most { lines.append("and \(findings.count - Self.most) more") }
        return String(lines.joined(separator: "\n").prefix(4_096))
    }
}

/// An Event about a pool, as far as its content goes.
struct EventNote: Sendable, Hashable {
    enum Kind: String, Sendable {
        case normal = "Normal"
        case warning = "Warning"
    }

    var kind: Kind
    var reason: String
    var text: String

    init(_ kind: Kind, _ reason: String, _ text: String) {
        self.kind = kind
        self.reason = reason
        self.text = text
    }
}

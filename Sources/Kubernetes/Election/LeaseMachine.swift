/// Decides when a lease may be taken, when it has to be renewed and when it is lost. Pure: the clock that decides is
/// passed in, and so is the time of day, which is only written down for people.
///
/// Whether somebody else's lease has run out is judged by how long this process has seen it unchanged, never by the
/// times that are written in it: other machines' clocks are not trusted.

public struct LeaseMachine: Sendable {
    /// What to do next. All but the last two are followed by the inputs that are named with them.
    public enum Order: Sendable, Equatable {
        /// `found`, `absent` or `failed`.
        case read
        /// `written` or `failed`.
        case create(LeaseRecord)
        /// `written` or `failed`. Only good for this very version of the object.
        case update(LeaseRecord, resourceVersion: String)
        /// Ask again after that.
        case wait(Duration)
        /// Terminal.
        case lost
    }

    private struct Observed: Sendable {
        var lease: StoredLease
        /// When it was first seen as it is.
        var since: ContinuousClock.Instant
    }

    private enum Role: Sendable {
        /// Can become `leading`.
        case candidate
        /// Until then at most. Can become `lost`.
        case leading(until: ContinuousClock.Instant)
        case lost
    }

    private let identity: String
    private let timing: LeaseTiming
    private var role = Role.candidate
    private var observed: Observed?
    /// There is no such object.
    private var isAbsent = false
    /// What is known of the object is as new as this attempt.
    private var isFresh = false
    private var nextAttempt: ContinuousClock.Instant?
    /// When the write that is under way was ordered.
    private var writeBegan: ContinuousClock.Instant?
    /// A write got no answer, so it may have been done.
    public private(set) var isInDoubt = false

    /// - Parameter identity: no other process has the same, nor had it.
    public init(identity: String, timing: LeaseTiming) {
        self.identity = identity
        self.timing = timing
    }

    /// Held until then unless it is renewed; nil for one who doesn't lead.
    public var heldUntil: ContinuousClock.Instant? {
        if case .leading(let end) = role { end } else { nil }
    }

    /// The object as it was seen last; nil where it has to be looked at first.
    public var known: StoredLease? { observed?.lease }

    /// Who is known to hold the lease; empty where nobody is.
    public var holder: String { observed?.lease.record.holder ?? "" }

    public mutating func next(at now: ContinuousClock.Instant, timeOfDay: Timestamp) -> Order {
        switch role {
        case .lost: return .lost
        case .leading(let end) where now >= end:
            role = .lost
            return .lost
        case .leading(let end):
            if let nextAttempt, now < nextAttempt { return .wait(min(nextAttempt, end) - now) }
            // Nobody else writes to it, so what was written last is good for the next renewal.
            guard let observed else { return .read }
            return write(over: observed.lease, at: now, timeOfDay)
        case .candidate:
            if let nextAttempt, now < nextAttempt { return .wait(nextAttempt - now) }
            if isFresh, isAbsent { return write(over: nil, at: now, timeOfDay) }
            guard isFresh, let observed else { return .read }
            return write(over: observed.lease, at: now, timeOfDay)
        }
    }

    /// The object is there.
    /// - Parameter chance: from 0 to 1; spreads the candidates.
    public mutating func found(_ lease: StoredLease, at now: ContinuousClock.Instant, chance: Double) {
        isAbsent = false
        isInDoubt = false
        if observed?.lease != lease { observed = Observed(lease: lease, since: now) }
        let isFree = lease.record.holder.isEmpty || lease.record.holder == identity
        if case .leading = role {
            if !isFree { role = .lost }
            isFresh = true
            return
        }
        let runsOut = (observed?.since ?? now) + .seconds(lease.record.durationSeconds)
        if isFree || now >= runsOut {
            isFresh = true
            nextAttempt = nil
        } else {
            isFresh = false
            nextAttempt = min(runsOut, now + pause(chance))
        }
    }

    /// There is no such object.
    public mutating func absent() {
        observed = nil
        isAbsent = true
        isInDoubt = false
        isFresh = true
        // Deleted under its holder: whoever creates it leads.
        if case .leading = role { role = .lost }
    }

    /// The write was done; the object is now this.
    public mutating func written(_ lease: StoredLease, at now: ContinuousClock.Instant) {
        guard let begun = writeBegan else { return }
        writeBegan = nil
        isAbsent = false
        isInDoubt = false
        isFresh = false
        observed = Observed(lease: lease, since: now)
        role = .leading(until: begun + timing.renewDeadline)
        nextAttempt = now + timing.retryPeriod
    }

    /// The read or write failed; a write whose answer was lost may have been done all the same.
    /// - Parameter chance: from 0 to 1; spreads the candidates.
    public mutating func failed(_ error: APIError, at now: ContinuousClock.Instant, chance: Double) {
        let wasWriting = writeBegan != nil
        writeBegan = nil
        isFresh = false
        if wasWriting, error.status == 0 { isInDoubt = true }
        if case .leading = role, wasWriting {
            // Somebody changed it, or we did and don't know the version: it has to be looked at.
            let isOutdated = error.isConflict || error.isNotFound || error.isAlreadyExists
            observed = nil
            nextAttempt = isOutdated ? now : now + timing.retryPeriod / 2
        } else {
            nextAttempt = now + pause(chance)
        }
    }

    /// What to write so that others needn't wait for the lease to run out; nil where it isn't ours.
    public func farewell(to lease: StoredLease, timeOfDay: Timestamp) -> LeaseRecord? {
        guard lease.record.holder == identity else { return nil }
        return LeaseRecord(
            holder: "", durationSeconds: 1, acquireTime: timeOfDay, renewTime: timeOfDay,
            transitions: lease.record.transitions)
    }

    private mutating func write(
        over lease: StoredLease?, at now: ContinuousClock.Instant, _ timeOfDay: Timestamp
    ) -> Order {
        writeBegan = now
        var record = LeaseRecord(
            holder: identity, durationSeconds: Int(timing.duration.components.seconds),
            acquireTime: timeOfDay,
            renewTime: timeOfDay)
        guard let lease else { return .create(record) }
        if lease.record.holder == identity {
            record.acquireTime = lease.record.acquireTime
            record.transitions = lease.record.transitions
        } else {
            record.transitions = lease.record.transitions + 1
        }
        return .update(record, resourceVersion: lease.resourceVersion)
    }

    private func pause(_ chance: Double) -> Duration { timing.retryPeriod * (1 + 0.2 * chance) }
}

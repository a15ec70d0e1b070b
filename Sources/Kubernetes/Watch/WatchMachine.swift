/// Decides how a kind of object is followed: listed page by page, then watched from where the list was; listed again
/// when the server has forgotten that moment, resumed when a stream broke. Pure: clock and chance come in.

public struct WatchMachine: Sendable {
    /// What to do next. Each is followed by one of the inputs that are named with it.
    public enum Order: Sendable, Equatable {
        /// `pageArrived` or `failed`.
        case list(continuation: String?, limit: Int)
        /// Any number of `advanced`, then `streamEnded` or `failed`; `opened` at the answer's head.
        case watch(from: String)
        /// `waited`.
        case wait(Duration)
    }

    /// What a page means to whoever is told.
    public struct PageMeaning: Sendable, Equatable {
        /// The list begins anew: what an earlier unfinished one told is void.
        public var isFirst: Bool
        /// What the list did not tell is not there.
        public var isLast: Bool
    }

    public struct Timing: Sendable, Equatable {
        /// The first pause after a failure; each further one doubles it.
        public var firstPause: Duration = .milliseconds(500)
        public var longestPause: Duration = .seconds(30)
        /// A stream that ends sooner, and that told nothing, counts as a failure.
        public var shortestStream: Duration = .seconds(1)
        /// How long a watch is asked to last; up to as much again is added by chance, so that not all end at once.
        public var streamLength: Duration = .seconds(300)
        /// How long a stream may be silent. The server sends a bookmark about every minute.
        public var silence: Duration = .seconds(150)
        /// How long one page may take.
        public var pageTimeout: Duration = .seconds(60)
        public var pageSize = 500

        public init() {}
    }

    private enum Phase: Sendable {
        /// Can become `watching` or `pausing`.
        case listing(continuation: String?)
        /// Can become `listing` or `pausing`.
        case watching(from: String, openedAt: ContinuousClock.Instant?, toldAnything: Bool)
        /// Becomes what it is to resume.
        case pausing(Duration, then: Resumption)
    }

    private enum Resumption: Sendable {
        case listing
        case watching(from: String)
    }

    /// Answered failures of a watch after which its resource version is given up: a server that was put back to an
    /// earlier state doesn't call a version from the future expired.
    private static let patience = 3

    private let timing: Timing
    private var phase = Phase.listing(continuation: nil)
    private var pageSize: Int
    /// Since something was told last.
    private var failures = 0
    private var answeredFailures = 0
    /// A list whose moment was forgotten at once is not repeated at once.
    private var relistedInVain = false

    public init(timing: Timing = Timing()) {
        self.timing = timing
        pageSize = max(1, timing.pageSize)
    }

    public var order: Order {
        switch phase {
        case .listing(let continuation): .list(continuation: continuation, limit: pageSize)
        case .watching(let version, _, _): .watch(from: version)
        case .pausing(let pause, _): .wait(pause)
        }
    }

    public mutating func pageArrived(resourceVersion: String, continuation next: String?) -> PageMeaning {
        guard case .listing(let continuation) = phase else {
            return PageMeaning(isFirst: false, isLast: false)
        }
        if let next {
            phase = .listing(continuation: next)
        } else {
            phase = .watching(from: resourceVersion, openedAt: nil, toldAnything: false)
            failures = 0
            answeredFailures = 0
        }
        return PageMeaning(isFirst: continuation == nil, isLast: next == nil)
    }

    /// The server said yes to the watch.
    public mutating func opened(at now: ContinuousClock.Instant) {
        guard case .watching(let version, _, let toldAnything) = phase else { return }
        phase = .watching(from: version, openedAt: now, toldAnything: toldAnything)
    }

    /// The stream told everything up to this version, by an object or by a bookmark.
    public mutating func advanced(to version: String) {
        guard case .watching(let old, let openedAt, _) = phase else { return }
        phase = .watching(from: version.isEmpty ? old : version, openedAt: openedAt, toldAnything: true)
        failures = 0
        answeredFailures = 0
        relistedInVain = false
    }

    /// The server ended the stream, as it does when the time that was asked for is over.
    /// - Parameter chance: from 0 to 1.
    public mutating func streamEnded(at now: ContinuousClock.Instant, chance: Double) {
        guard case .watching(let version, let openedAt, let toldAnything) = phase else { return }
        if toldAnything || openedAt.map({ now - $0 >= timing.shortestStream }) ?? false {
            phase = .watching(from: version, openedAt: nil, toldAnything: false)
        } else {
            pause(then: .watching(from: version), retryAfter: nil, chance)
        }
    }

    /// A request failed, or a stream broke off, fell silent or brought an error.
    /// - Parameter chance: from 0 to 1.
    public mutating func failed(_ error: APIError, chance: Double) {
        switch phase {
        case .pausing: break
        case .listing:
            if error.reason == APIError.Unanswered.tooLarge { pageSize = max(1, pageSize / 2) }
            pause(then: .listing, retryAfter: error.retryAfter, chance)
        case .watching(let version, _, let toldAnything):
            if error.isExpired {
                relist(error, chance)
            } else if toldAnything, error.status == 0 {
                // It was good until now.
                phase = .watching(from: version, openedAt: nil, toldAnything: false)
            } else {
                if error.status != 0, error.status != 429 { answeredFailures += 1 }
                if answeredFailures >= Self.patience {
                    answeredFailures = 0
                    pause(then: .listing, retryAfter: error.retryAfter, chance)
                } else {
                    pause(then: .watching(from: version), retryAfter: error.retryAfter, chance)
                }
            }
        }
    }

    public mutating func waited() {
        guard case .pausing(_, let resumption) = phase else { return }
        switch resumption {
        case .listing: phase = .listing(continuation: nil)
        case .watching(let version): phase = .watching(from: version, openedAt: nil, toldAnything: false)
        }
    }

    private mutating func relist(_ error: APIError, _ chance: Double) {
        if relistedInVain {
            pause(then: .listing, retryAfter: error.retryAfter, chance)
        } else {
            relistedInVain = true
            phase = .listing(continuation: nil)
        }
    }

    /// From half of the pause to all of it, so that those who failed together don't come back together.
    private mutating func pause(then resumption: Resumption, retryAfter: Duration?, _ chance: Double) {
        let doublings = min(failures, 16)
        failures += 1
        let whole = min(timing.longestPause, timing.firstPause * (1 << doublings))
        phase = .pausing(max(whole * (0.5 + 0.5 * chance), retryAfter ?? .zero), then: resumption)
    }
}

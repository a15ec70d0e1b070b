/// One ticker an event loop: time-outs, heartbeats and the Date field of all its connections, without a timer each.
import Foundation
import NIOCore
import Synchronization

/// What the ticker visits.
///
/// Implemented by a connection that serves requests and by one that has become an event stream.
protocol Ticking: AnyObject {
    /// The place in the ticker's list, kept by the ticker.
    var tickIndex: Int { get set }
    func tick(now: ContinuousClock.Instant)
}

/// When an event loop last came round to its ticker; read from any thread by the liveness probe.
final class LoopPulse: Sendable {
    private static let epoch = ContinuousClock.now
    private let lastBeat: Atomic<Int64>

    /// Counts as having come round when it is made: the first tick is still to come.
    init(now: ContinuousClock.Instant = .now) {
        lastBeat = Atomic(Self.seconds(now))
    }

    func beat(now: ContinuousClock.Instant = .now) {
        lastBeat.store(Self.seconds(now), ordering: .relaxed)
    }

    func age(now: ContinuousClock.Instant = .now) -> Duration {
        .seconds(Self.seconds(now) - lastBeat.load(ordering: .relaxed))
    }

    private static func seconds(_ time: ContinuousClock.Instant) -> Int64 {
        epoch.duration(to: time).components.seconds
    }
}

/// Lives on one event loop and must only be touched there.
final class LoopClock {
    static let interval: TimeAmount = .milliseconds(500)

    private var members: [any Ticking] = []
    private let formatter: DateFormatter
    /// As of the last tick.
    private(set) var now: ContinuousClock.Instant
    /// The Date field's value (RFC 9110, section 5.6.7).
    private(set) var date: String

    private let pulse: LoopPulse

    init(pulse: LoopPulse) {
        self.pulse = pulse
        formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(secondsFromGMT: 0)
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        now = .now
        date = formatter.string(from: Date())
    }

    func add(_ member: any Ticking) {
        member.tickIndex = members.count
        members.append(member)
    }

    func remove(_ member: any Ticking) {
        let index = member.tickIndex
        guard index < members.count, members[index] === member else { return }
        let last = members.removeLast()
        guard last !== member else { return }
        members[index] = last
        last.tickIndex = index
    }

    func tick() {
        now = .now
        pulse.beat(now: now)
        date = formatter.string(from: Date())
        // Backwards: a member that closes takes itself out, and the last one takes its place.
        var index = members.count - 1
        while index >= 0 {
            if index < members.count { members[index].tick(now: now) }
            index -= 1
        }
    }
}

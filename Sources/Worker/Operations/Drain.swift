/// Carries out a drain, once, whoever asked for it: the signal, or the pod's preStop hook over the admin port.
import Logging
import Synchronization

final class Drain: Sendable {
    private let state = Mutex(DrainState())
    /// Somebody has asked for it.
    let requested = OnceSignal()
    /// New turns are refused from here on.
    let finishing = OnceSignal()
    /// The time is over for what still runs.
    let cut = OnceSignal()
    let completed = OnceSignal()

    var phase: DrainState.Phase { state.withLock(\.phase) }
    var hasCut: Bool { state.withLock(\.hasCut) }

    func begin(delay: Duration) -> DrainState.StartAction {
        state.withLock { $0.start(delay: delay) }
    }

    func delayEnded() {
        state.withLock { $0.delayEnded() }
        finishing.set()
    }

    /// - Returns: false where it was over before.
    @discardableResult
    func timeIsOver() -> Bool {
        guard state.withLock({ $0.timeIsOver() }) else { return false }
        finishing.set()
        cut.set()
        return true
    }

    func finished() {
        state.withLock { $0.finished() }
        completed.set()
    }
}

extension SessionFeeds {
    /// Tells every long-lived stream to reconnect and ends it, spread over the window; those that follow a running turn last, when
    /// it has ended. Returns early where its task is cancelled.
    func reconnectAll(within limit: Duration, turnsEnded: @Sendable () async -> Void) async {
        await reconnect(streams().idle, within: limit)
        await turnsEnded()
        let (idle, busy) = streams()
        await reconnect(idle + busy, within: limit)
    }

    private func reconnect(_ streams: [Subscriber], within limit: Duration) async {
        let plan = ReconnectPlan(streams: streams.count, limit: limit)
        let began = ContinuousClock.now
        var told = 0
        while told < streams.count {
            let due = plan.told(after: began.duration(to: .now))
            for stream in streams[told..<due] {
                // They come back at different times too.
                stream.close(
                    with: NativeEventEncoder.reconnect(after: .milliseconds(Int.random(in: 100...2000))))
            }
            told = due
            if told < streams.count, (try? await Task.sleep(for: .milliseconds(20))) == nil { return }
        }
    }
}

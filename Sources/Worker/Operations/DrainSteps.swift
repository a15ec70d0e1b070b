/// The steps of a drain, one after the other: the delay, the refusals, the goodbyes, the last turn.
import Logging
import NIOCore

extension AgentWorker {
    /// Ends the drain when its time is over, whatever still runs then, relayed requests too. Returns when it is cancelled.
    func watchDrain(_ ports: [HTTPListener]) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [drain, settings, config] in
                await drain.requested.wait()
                let time = settings.drainDelay + config.spec.drain.timeout.duration
                // Cancelled where everything has ended before.
                guard (try? await Task.sleep(for: time)) != nil else { return }
                drain.timeIsOver()
            }
            tasks.addTask { [drain] in
                await drain.cut.wait()
                guard drain.cut.isSet else { return }
                for port in ports { port.cutRunning() }
            }
        }
    }

    /// Returns when the ports are closed: no turn of this worker's own runs any more, or what still does was told to end.
    func carryOut(
        _ admission: Admission, _ feeds: SessionFeeds, _ ports: [HTTPListener]
    ) async {
        guard case .begin(let delay) = drain.begin(delay: settings.drainDelay) else { return }
        let timeout = config.spec.drain.timeout.duration
        logger.info(
            "draining",
            metadata: ["delay": "\(delay)", "runningTurns": "\(admission.counts.running)"])
        // The delay is cut short where nobody can wait: whichever ends first cancels the other, and that is all its error says.
        await withTaskGroup(of: Void.self) { race in
            race.addTask { try? await Task.sleep(for: delay) }
            race.addTask { [drain] in await drain.cut.wait() }
            await race.next()
            race.cancelAll()
        }
        drain.delayEnded()
        ports[0].beginDraining()
        admission.beginDraining()
        await feeds.reconnectAll(within: timeout / 2) { await admission.drained() }
        for port in ports { await port.stopAccepting() }
    }
}

extension SessionFeeds {
    /// Tells every long-lived stream to reconnect and ends it, spread over the window; those that follow a running turn last, when
    /// it has ended. Returns early where its task is cancelled.
    func reconnectAll(within limit: Duration, turnsEnded: @Sendable () async -> Void) async {
        await reconnect(idleStreams(), within: limit)
        await turnsEnded()
        await reconnect(close(), within: limit)
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

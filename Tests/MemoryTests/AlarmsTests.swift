import Testing

@testable import Memory

@Suite struct AlarmsTests {
    @Test("A short wait that begins after a long one does not wait for it, and none ends early") func order()
        async
    {
        let alarms = Alarms()
        let begun = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            let hour = Task { await alarms.wait(for: .seconds(3600)) }
            for milliseconds in [300, 40, 150, 40, 90] {
                group.addTask {
                    #expect(await alarms.wait(for: .milliseconds(milliseconds)))
                    #expect(begun.duration(to: .now) >= .milliseconds(milliseconds))
                }
            }
            await group.waitForAll()
            hour.cancel()
            #expect(await hour.value == false)
        }
        // The timers before have all gone off: the next wait sets its own.
        #expect(await alarms.wait(for: .milliseconds(20)))
    }

    @Test("A wait that is called off ends at once, and leaves those that go on") func calledOff() async {
        let alarms = Alarms()
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { await alarms.wait(for: .milliseconds(60)) }
            let long = Task { await alarms.wait(for: .seconds(3600)) }
            long.cancel()
            #expect(await long.value == false)
            #expect(await group.next() == true)
        }
    }
}

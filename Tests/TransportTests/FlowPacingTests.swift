import Testing

@testable import Transport

struct FlowPacingTests {
    @Test("Sockets whose news come singly are always watched") func single() {
        var pacing = FlowPacing()
        for time in stride(from: Int64(0), to: 10_000, by: 1000) {
            pacing.looked(finding: 1, isMore: false, at: time)
            #expect(pacing.due == nil)
        }
    }

    @Test("Several with news at once rest, and are looked at together after that") func company() {
        var pacing = FlowPacing()
        pacing.looked(finding: 2, isMore: false, at: 1000)
        #expect(pacing.due == 1000 + FlowPacing.rest)
        pacing.looked(finding: 9, isMore: false, at: 5000)
        #expect(pacing.due == 5000 + FlowPacing.rest)
    }

    @Test("One or none after a rest ends the resting", arguments: [0, 1]) func sparse(count: Int) {
        var pacing = FlowPacing()
        pacing.looked(finding: 2, isMore: false, at: 0)
        pacing.looked(finding: count, isMore: false, at: FlowPacing.rest)
        #expect(pacing.due == nil)
    }

    @Test("More than fit into one look are looked at again at once") func more() {
        var pacing = FlowPacing()
        pacing.looked(finding: 256, isMore: true, at: 7)
        #expect(pacing.due == 7)
    }
}

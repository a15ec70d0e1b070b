/// The stand-in for a cluster's API server: what tests start where no real one is at hand.
public struct StandInServer: Sendable {
    public init() {}
}

/// Owns the connections to one server.
import NIOCore
import Synchronization

final class RedisNode: Sendable {
    let address: RedisAddress
    private let links: [Link]
    let lane: CommitLane
    private let turn = Atomic<Int>(0)

    init(_ address: RedisAddress, group: any EventLoopGroup, settings: Link.Settings) {
        self.address = address
        let configuration = settings.configuration
        func makeLinks(_ count: Int) -> [Link] {
            (0..<max(1, count)).map { _ in Link(address, loop: group.next(), settings: settings) }
        }
        links = makeLinks(configuration.connectionsPerNode)
        lane = CommitLane(
            links: makeLinks(configuration.commitConnectionsPerNode), loop: group.next(),
            waitingLimit: configuration.maxWaitingCommitsPerNode)
    }

    /// Commit connections are made when there is something to commit.
    func start() {
        for link in links { link.start() }
    }

    /// Connections take turns; one that can't is passed over.
    ///
    /// - Returns: why no connection took it.
    func submit(_ entry: Link.Entry) -> LinkFault? {
        let first = turn.add(1, ordering: .relaxed).oldValue
        var fault: LinkFault?
        for offset in links.indices {
            let index = Int(UInt(bitPattern: first &+ offset) % UInt(links.count))
            guard let refusal = links[index].submit([entry]) else { return nil }
            if fault == nil || refusal.kind == .overloaded { fault = refusal }
        }
        return fault
    }

    var connections: Int { (links + lane.links).count { $0.isReady } }
    var inFlight: Int { links.reduce(lane.count) { $0 + $1.inFlight } }

    func retire() {
        for link in links + lane.links { link.retire() }
    }

    func close() async {
        lane.close(LinkFault(.closed))
        for link in links + lane.links { await link.close() }
    }
}

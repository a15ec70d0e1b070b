/// What is believed about a cluster, and from whom.
import Testing

@testable import Redis

@Suite("Cluster topology")
struct ClusterTopologyTests {
    let asked = RedisAddress(host: "10.0.0.9", port: 7009)
    let one = RedisAddress(host: "10.0.0.1", port: 7001)
    let two = RedisAddress(host: "10.0.0.2", port: 7002)

    static func text(_ text: String) -> RedisValue { .bulk(Array(text.utf8)) }

    static func node(
        _ endpoint: RedisValue, port: Int, role: String = "master", health: String = "online", tls: Int? = nil
    ) -> RedisValue {
        let tlsFields: [RedisValue] = tls.map { [text("tls-port"), .integer(Int64($0))] } ?? []
        return .array(
            [text("id"), text("x"), text("port"), .integer(Int64(port))] + tlsFields
                + [text("endpoint"), endpoint, text("role"), text(role), text("health"), text(health)])
    }

    static func shard(_ slots: [Int], _ nodes: [RedisValue]) -> RedisValue {
        .array([
            text("slots"), .array(slots.map { .integer(Int64($0)) }), text("nodes"), .array(nodes),
        ])
    }

    func answer(_ shares: [(ClosedRange<Int>, RedisAddress)], epoch: Int64 = 1) -> ClusterAnswer {
        var answer = ClusterAnswer()
        for (slots, node) in shares { answer.map.give(slots, to: node) }
        answer.epoch = epoch
        return answer
    }

    @Test("CLUSTER SHARDS gives slots, masters, and the asked node's host where one is empty")
    func shards() throws {
        let reply = RedisValue.array([
            Self.shard(
                [0, 99, 200, 200],
                [Self.node(Self.text("a"), port: 1, role: "replica"), Self.node(Self.text("b"), port: 2)]),
            Self.shard([100, 199], [Self.node(.null, port: 3)]),
            Self.shard([201, 300], [Self.node(Self.text(""), port: 4, tls: 5)]),
            Self.shard(
                [301, 400],
                [
                    Self.node(Self.text("dead"), port: 6, health: "fail"),
                    Self.node(Self.text("new"), port: 7),
                ]),
            Self.shard([], [Self.node(Self.text("empty"), port: 8)]),
        ])
        let answer = try #require(ClusterAnswer.shards(reply, asked: asked, usesTLS: true))
        #expect(answer.map[99] == RedisAddress(host: "b", port: 2))
        #expect(answer.map[200] == RedisAddress(host: "b", port: 2))
        #expect(answer.map[150] == RedisAddress(host: asked.host, port: 3))
        #expect(answer.map[300] == RedisAddress(host: asked.host, port: 5))
        #expect(answer.map[301] == RedisAddress(host: "new", port: 7))
        #expect(answer.map[401] == nil)
        #expect(!answer.map.nodes.contains(RedisAddress(host: "empty", port: 8)))
        #expect(answer.map.served == 401)
        let plain = try #require(ClusterAnswer.shards(reply, asked: asked, usesTLS: false))
        #expect(plain.map[300] == RedisAddress(host: asked.host, port: 4))
    }

    @Test("CLUSTER SLOTS is read too")
    func slots() throws {
        let reply = RedisValue.array([
            .array([.integer(0), .integer(8000), .array([Self.text("a"), .integer(1), Self.text("id")])]),
            .array([.integer(8001), .integer(16383), .array([.null, .integer(2)])]),
        ])
        let answer = try #require(ClusterAnswer.slots(reply, asked: asked))
        #expect(answer.map[8000] == RedisAddress(host: "a", port: 1))
        #expect(answer.map[8001] == RedisAddress(host: asked.host, port: 2))
        #expect(answer.map.served == 16384)
    }

    @Test("an answer that makes no sense is none")
    func nonsense() {
        let wrong: [RedisValue] = [
            .null, .error("ERR"), .array([.integer(1)]), .array([Self.shard([5], [])]),
            .array([Self.shard([5, 4], [Self.node(Self.text("a"), port: 1)])]),
            .array([Self.shard([0, 16384], [Self.node(Self.text("a"), port: 1)])]),
        ]
        for reply in wrong { #expect(ClusterAnswer.shards(reply, asked: asked, usesTLS: false) == nil) }
        for reply in wrong { #expect(ClusterAnswer.slots(reply, asked: asked) == nil) }
    }

    @Test("a node that vanished is named, and one that has no slots of its cluster isn't believed")
    func vanished() {
        var topology = ClusterTopology()
        #expect(
            topology.apply(answer([(0...99, one), (100...199, two)]), askedAt: topology.mark())
                == .apply(gone: []))
        #expect(topology.apply(answer([(0...199, one)]), askedAt: topology.mark()) == .apply(gone: [two]))
        #expect(topology.apply(ClusterAnswer(), askedAt: topology.mark()) == .refuse)
        #expect(topology.map[150] == one)
    }

    @Test("MOVED outlives an answer that was asked for before it, and not a later one")
    func movedOutlivesOlderAnswers() {
        var topology = ClusterTopology()
        _ = topology.apply(answer([(0...199, one)]), askedAt: topology.mark())
        let before = topology.mark()
        topology.move(7, to: two)
        #expect(topology.map[7] == two)
        #expect(topology.apply(answer([(0...199, one)]), askedAt: before) == .apply(gone: []))
        #expect(topology.map[7] == two)
        #expect(topology.map[8] == one)
        #expect(topology.apply(answer([(0...199, one)]), askedAt: topology.mark()) == .apply(gone: [two]))
        #expect(topology.map[7] == one)
    }

    @Test("the word of a node that was cut off doesn't count, until nobody says anything newer")
    func staleAnswers() {
        var topology = ClusterTopology()
        _ = topology.apply(answer([(0...199, one)], epoch: 9), askedAt: topology.mark())
        for _ in 0..<4 {
            #expect(topology.apply(answer([(0...199, two)], epoch: 3), askedAt: topology.mark()) == .refuse)
            #expect(topology.map[0] == one)
        }
        #expect(
            topology.apply(answer([(0...199, two)], epoch: 3), askedAt: topology.mark())
                == .apply(gone: [one]))
        #expect(topology.map[0] == two)
        var failed = answer([(0...199, one)], epoch: 4)
        failed.isOK = false
        #expect(topology.apply(failed, askedAt: topology.mark()) == .refuse)
    }

    @Test("CLUSTER INFO's epoch and state are read")
    func info() {
        var answer = ClusterAnswer()
        answer.read(info: Self.text("cluster_state:fail\r\ncluster_current_epoch:12\r\n"))
        #expect(answer.epoch == 12)
        #expect(!answer.isOK)
    }

    @Test("masters are asked before seeds, each once")
    func sources() {
        var topology = ClusterTopology()
        var generator = Seeded(state: 1)
        _ = topology.apply(answer([(0...99, one), (100...199, two)]), askedAt: topology.mark())
        let order = topology.sources(seeds: [asked, one], using: &generator)
        #expect(Set(order.prefix(2)) == [one, two])
        #expect(order.dropFirst(2) == [asked])
    }

    @Test("redirections are read")
    func redirections() {
        let moved = Redirection("MOVED 3999 127.0.0.1:6381", asked: asked)
        #expect(moved?.kind == .moved && moved?.slot == 3999 && moved?.node == RedisAddress("127.0.0.1:6381"))
        #expect(Redirection("ASK 1 :6381", asked: asked)?.node == RedisAddress(host: asked.host, port: 6381))
        for wrong in ["MOVED", "MOVED 16384 a:1", "MOVED x a:1", "MOVED 1 a:0", "ERR 1 a:1"] {
            #expect(Redirection(wrong, asked: asked) == nil)
        }
    }
}

/// The rule that says whether a server keeps what it acknowledges.
import Testing

@testable import Redis

@Suite("Durability")
struct DurabilityTests {
    static let sound = """
        # Persistence\r
        aof_enabled:1\r
        aof_last_write_status:ok\r
        rdb_last_bgsave_status:ok\r
        # Replication\r
        role:master\r
        slave0:ip=10.0.0.1,port=6379,state=online,offset=1,lag=0\r
        slave1:ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0\r
        # Memory\r
        maxmemory:0\r
        maxmemory_policy:allkeys-lru\r\n
        """

    func codes(_ old: String = "", _ new: String = "", waitReplicas: Int = 1) throws -> [String] {
        let text = old.isEmpty ? Self.sound : Self.sound.replacing(old, with: new)
        let report = try #require(NodeReport(text))
        let problems = DurabilityRule.problems(report, node: "a:1", waitReplicas: waitReplicas)
        #expect(problems.allSatisfy { !$0.mend.isEmpty && !$0.what.isEmpty && $0.node == "a:1" })
        return problems.map(\.code)
    }

    @Test("a sound server has no problems; eviction without a memory limit never happens")
    func sound() throws {
        #expect(try codes() == [])
    }

    @Test("each fault is named")
    func faults() throws {
        #expect(try codes("aof_enabled:1", "aof_enabled:0") == ["AppendOnlyFileOff"])
        #expect(try codes("aof_last_write_status:ok", "aof_last_write_status:err") == ["AppendOnlyFileFails"])
        #expect(try codes("rdb_last_bgsave_status:ok", "rdb_last_bgsave_status:err") == ["SnapshotFails"])
        #expect(try codes("role:master", "role:slave") == ["NotMaster"])
        #expect(try codes("maxmemory:0", "maxmemory:100") == ["EvictionEnabled"])
        #expect(
            try codes(
                "maxmemory:0\r\nmaxmemory_policy:allkeys-lru", "maxmemory:100\r\nmaxmemory_policy:noeviction")
                == [])
    }

    @Test("only replicas that are online count")
    func replicas() throws {
        #expect(try codes(waitReplicas: 2) == ["ReplicasMissing"])
        #expect(try codes("state=online", "state=send_bulk") == ["ReplicasMissing"])
        #expect(try codes("state=online", "state=send_bulk", waitReplicas: 0) == [])
    }

    @Test("what isn't INFO isn't read")
    func unreadable() {
        #expect(NodeReport("hello") == nil)
    }
}

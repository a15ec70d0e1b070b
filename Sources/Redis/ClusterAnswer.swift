/// Reads what a cluster's node says about the cluster: CLUSTER SHARDS, CLUSTER SLOTS and CLUSTER INFO.
struct ClusterAnswer: Equatable {
    /// Masters without slots are left out: a node that has just become a replica is listed as one for a while.
    var map = SlotMap()
    /// The configuration epoch that the node has reached; 0 where it doesn't say.
    var epoch: Int64 = 0
    /// Whether the node thinks that the cluster serves requests.
    var isOK = true

    /// More nodes than any cluster has would make the map's indices overflow.
    private static let nodeLimit = 4096

    /// - Parameters:
    ///   - asked: the node that answered. Its host stands in for a host that the node doesn't know of itself.
    ///   - usesTLS: takes the port for TLS where there is one.
    /// - Returns: nil where the reply is not an answer to CLUSTER SHARDS.
    static func shards(_ reply: RedisValue, asked: RedisAddress, usesTLS: Bool) -> ClusterAnswer? {
        guard let shards = reply.array, shards.count <= nodeLimit else { return nil }
        var answer = ClusterAnswer()
        for shard in shards {
            guard let fields = fields(shard), let bounds = fields["slots"]?.array,
                let nodes = fields["nodes"]?.array, bounds.count.isMultiple(of: 2)
            else { return nil }
            let masters = nodes.compactMap { Self.fields($0) }.filter { $0["role"]?.string == "master" }
            // While a failover is on, a shard may list the failed master beside the new one.
            guard
                let master = masters.first(where: { $0["health"]?.string == "online" }) ?? masters.first,
                let address = address(master, asked: asked, usesTLS: usesTLS)
            else { continue }
            for index in stride(from: 0, to: bounds.count, by: 2) {
                guard let range = range(bounds[index], bounds[index + 1]) else { return nil }
                answer.map.give(range, to: address)
            }
        }
        return answer
    }

    /// The same of CLUSTER SLOTS, which servers before 7.0 have. Its ports are those of the kind of connection it came by.
    static func slots(_ reply: RedisValue, asked: RedisAddress) -> ClusterAnswer? {
        guard let rows = reply.array, rows.count <= KeySlot.count else { return nil }
        var answer = ClusterAnswer()
        for row in rows {
            guard let row = row.array, row.count >= 3, let range = range(row[0], row[1]),
                let node = row[2].array, node.count >= 2, let port = node[1].int, 1...65535 ~= port
            else { return nil }
            let address = RedisAddress(host: host(node[0].string, asked: asked), port: port)
            guard answer.map.nodes.count < nodeLimit else { return nil }
            answer.map.give(range, to: address)
        }
        return answer
    }

    /// Adds what CLUSTER INFO says; leaves all as it is where that can't be read.
    mutating func read(info: RedisValue) {
        guard let text = info.string else { return }
        let lines = InfoReport(text)
        epoch = lines["cluster_current_epoch"].flatMap { Int64($0) } ?? 0
        isOK = lines["cluster_state"] != "fail"
    }

    private static func fields(_ value: RedisValue) -> [String: RedisValue]? {
        guard let list = value.array, list.count.isMultiple(of: 2) else { return nil }
        var fields: [String: RedisValue] = [:]
        for index in stride(from: 0, to: list.count, by: 2) {
            guard let name = list[index].string else { return nil }
            fields[name] = list[index + 1]
        }
        return fields
    }

    private static func address(
        _ node: [String: RedisValue], asked: RedisAddress, usesTLS: Bool
    ) -> RedisAddress? {
        let port = (usesTLS ? node["tls-port"]?.int : nil) ?? node["port"]?.int ?? node["tls-port"]?.int
        guard let port, 1...65535 ~= port else { return nil }
        return RedisAddress(host: host(node["endpoint"]?.string, asked: asked), port: port)
    }

    /// Redis sends nothing, or "?", where it doesn't know its own address: it is the one that was connected to.
    private static func host(_ text: String?, asked: RedisAddress) -> String {
        guard let text, !text.isEmpty, text != "?" else { return asked.host }
        return text
    }

    private static func range(_ first: RedisValue, _ last: RedisValue) -> ClosedRange<Int>? {
        guard let first = first.int, let last = last.int, 0 <= first, first <= last, last < KeySlot.count
        else { return nil }
        return first...last
    }
}

/// The `name:value` lines of INFO and CLUSTER INFO.
struct InfoReport {
    private(set) var lines: [String: String] = [:]

    init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            lines[String(line[..<colon])] = String(line[line.index(after: colon)...])
        }
    }

    subscript(name: String) -> String? { lines[name] }
}

/// The stand-in's own paths, by which programs in other languages ask for faults and read the audit log.
import Foundation

extension StandInServer {
    /// The answer to a call that is about the stand-in itself; nil: it is about the cluster. Empty: it made no sense.
    func control(_ call: APICall) -> [UInt8]? {
        guard call.path.hasPrefix("/stand-in/") else { return nil }
        let done = Array("{}".utf8)
        switch (call.method, call.path.dropFirst("/stand-in/".count)) {
        case ("POST", "faults"):
            // What is no fault is answered as such.
            guard let fault = try? JSONDecoder().decode(Fault.self, from: Data(call.body)) else { return [] }
            inject(fault)
        case ("DELETE", "faults"): clearFaults()
        case ("POST", "cut-watches"): cutWatches()
        case ("POST", "expire-versions"): expireVersions()
        case ("POST", "workloads/prompt"): setWorkloads(.prompt)
        case ("POST", "workloads/held"): setWorkloads(.held)
        case ("POST", "roll-out"):
            guard let name = call.query["name"], let namespace = call.query["namespace"] else { return [] }
            rollOut(name, in: namespace)
        case ("GET", "audit"):
            let from = call.query["from"].flatMap(Int.init) ?? 0
            // An audit log is numbers and text: it can be encoded.
            return (try? JSONEncoder().encode(Array(audit.dropFirst(from)))).map { Array($0) } ?? []
        case ("GET", "counters"):
            return Array(
                "{\"calls\":\(calls),\"faultsMet\":\(faultsMet),\"openWatches\":\(openWatches)}".utf8)
        default: return []
        }
        return done
    }
}

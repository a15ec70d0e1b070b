/// Which ports the servers of tests listen on: free ones that the system gives to nobody else in the meantime.
import Foundation
import Synchronization

public enum FreePort {
    public struct None: Error {}

    /// Below those that the system gives to outgoing connections (from 32,768 on): what is free now must still be so when the server
    /// listens.
    private static let ports = 12_000..<32_000
    private static let handedOut = Mutex<Set<Int>>([])

    /// A port on which nobody listens, on any interface; never the same twice in a process.
    public static func take() throws -> Int {
        for _ in 0..<10_000 {
            let port = Int.random(in: ports)
            let isNew = handedOut.withLock { $0.insert(port).inserted }
            if isNew && isFree(port) { return port }
        }
        throw None()
    }

    private static func isFree(_ port: Int) -> Bool {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, length) == 0 }
        }
    }
}

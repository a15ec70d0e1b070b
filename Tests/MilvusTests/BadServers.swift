/// Peers that are no Milvus: one that accepts and never answers, and one that answers what is no gRPC.
import Foundation

/// Listens and never accepts; the kernel does, so clients see an open connection on which nothing comes.
final class SilentServer: Sendable {
    let socket: Int32
    let port: Int

    init() throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let (socket, size) = (socket, length)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(socket, address, size) == 0 && listen(socket, 64) == 0
                    && getsockname(socket, address, &length) == 0
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        guard result else { throw MilvusServers.Broken(description: "no port to listen on") }
    }

    deinit {
        shutdown(socket, Int32(SHUT_RDWR))
        close(socket)
    }
}

/// Answers every connection with the same bytes.
final class GarbageServer: Sendable {
    private let listener: SilentServer
    var port: Int { listener.port }

    /// - Parameter hangsUp: closes after the answer; else the connection stays open.
    init(_ answer: [UInt8], hangsUp: Bool) throws {
        let listener = try SilentServer()
        self.listener = listener
        let socket = listener.socket
        // Ends by the listener's shutdown, when the test lets go of it.
        Thread.detachNewThread {
            while true {
                let connection = accept(socket, nil, nil)
                guard connection >= 0 else { return }
                _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
                if hangsUp { close(connection) }
            }
        }
    }
}

/// What the connection looks at in a request before any route does: its size, its length, where it comes from.
import NIOCore
import NIOHTTP1

extension SocketAddress {
    var isLoopback: Bool {
        guard let ip = ipAddress else { return false }
        return ip.hasPrefix("127.") || ip == "::1" || ip.hasPrefix("::ffff:127.")
    }
}

extension HTTPRequestHead {
    /// What request line and fields took, near enough to hold them to a limit.
    var bytesOnWire: Int {
        var total = uri.utf8.count + 20
        for field in headers { total += field.name.utf8.count + field.value.utf8.count + 4 }
        return total
    }

    var contentLength: Int? {
        headers.first(name: "content-length").flatMap { Int($0) }
    }
}

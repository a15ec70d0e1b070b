// Owns one libcurl multi handle with the sockets and the timer that it asked for.

import CCurl

/// A set of transfers that may share connections, and that can be held back together.
///
/// libcurl 7.88 gives every HTTP/2 stream a window of 32 MiB and goes on buffering a paused stream up to it, whoever
/// drives the connection. Nothing bounds that but not driving it at all: so the streams of one HTTP/2 origin have a
/// multi of their own, which isn't called while one of its readers is behind. Lives on the curl thread only.
final class CurlMulti {
    /// The HTTP/2 origin that all transfers go to; nil for HTTP/1.1, where they needn't have one in common.
    let origin: String?
    let handle: UnsafeMutableRawPointer
    /// Transfers whose readers are behind.
    private var holders: Set<ObjectIdentifier> = []
    /// What libcurl wants to know of each of its sockets, as epoll events.
    private var sockets: [Int32: UInt32] = [:]
    /// When libcurl wants to be called for its own timeouts.
    private var timer: Int64?
    private(set) var transferCount = 0
    private let connectionLimits: ConnectionLimits
    private var connectionLimit: Int

    private unowned let loop: CurlLoop

    /// Nil where memory has run out.
    init?(
        for origin: String?, limits: ConnectionLimits, _ configuration: HTTPClient.Configuration,
        on loop: CurlLoop
    ) {
        guard let handle = curl_multi_init() else { return nil }
        self.origin = origin
        connectionLimits = limits
        connectionLimit = limits.atFirst
        self.handle = handle
        self.loop = loop
        let selfPointer = Unmanaged.passUnretained(self).toOpaque()
        ccurl_multi_set_pointer(handle, CURLMOPT_SOCKETDATA, selfPointer)
        ccurl_multi_set_socket_callback(handle) { easy, socket, what, multi, _ in
            CurlMulti.from(multi)?.want(what, of: socket, for: easy)
            return 0
        }
        ccurl_multi_set_pointer(handle, CURLMOPT_TIMERDATA, selfPointer)
        ccurl_multi_set_timer_callback(handle) { _, milliseconds, multi in
            CurlMulti.from(multi)?.setTimer(milliseconds)
            return 0
        }
        ccurl_multi_set_long(handle, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
        ccurl_multi_set_long(handle, CURLMOPT_MAX_CONCURRENT_STREAMS, configuration.maxStreamsPerConnection)
        ccurl_multi_set_long(handle, CURLMOPT_MAX_HOST_CONNECTIONS, connectionLimit)
        ccurl_multi_set_long(handle, CURLMOPT_MAX_TOTAL_CONNECTIONS, configuration.maxTotalConnections)
        ccurl_multi_set_long(handle, CURLMOPT_MAXCONNECTS, configuration.maxTotalConnections)
    }

    deinit {
        // Closing its connections must not call back into what is going away.
        ccurl_multi_set_socket_callback(handle, nil)
        ccurl_multi_set_timer_callback(handle, nil)
        curl_multi_cleanup(handle)
    }

    /// Gives up its sockets, so that it goes away with its last owner. No transfer may be left.
    func retire() {
        for socket in sockets.keys { loop.forget(socket) }
        sockets = [:]
    }

    private static func from(_ pointer: UnsafeMutableRawPointer?) -> CurlMulti? {
        pointer.map { Unmanaged<CurlMulti>.fromOpaque($0).takeUnretainedValue() }
    }

    /// When it wants to be called next; never while it is held back.
    var due: Int64 { holders.isEmpty ? timer ?? .max : .max }

    func add(_ transfer: Transfer) -> Bool {
        guard curl_multi_add_handle(handle, transfer.easy.handle) == CURLM_OK else { return false }
        transferCount += 1
        return true
    }

    /// A response head arrived over this version. Not to be called from within libcurl's callbacks.
    func sawResponse(multiplexed: Bool) {
        let limit = multiplexed ? connectionLimits.multiplexed : connectionLimits.exclusive
        guard limit > connectionLimit else { return }
        connectionLimit = limit
        ccurl_multi_set_long(handle, CURLMOPT_MAX_HOST_CONNECTIONS, limit)
    }

    func remove(_ transfer: Transfer) {
        release(by: transfer)
        curl_multi_remove_handle(handle, transfer.easy.handle)
        transferCount -= 1
    }

    func socketIsReady(_ socket: Int32, _ events: UInt32) {
        var flags: Int32 = 0
        if events & EPOLLIN.rawValue != 0 { flags |= CURL_CSELECT_IN }
        if events & EPOLLOUT.rawValue != 0 { flags |= CURL_CSELECT_OUT }
        if events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { flags |= CURL_CSELECT_ERR }
        var running: Int32 = 0
        curl_multi_socket_action(handle, socket, flags, &running)
    }

    func timeIsUp() {
        timer = nil
        var running: Int32 = 0
        curl_multi_socket_action(handle, CURL_SOCKET_TIMEOUT, 0, &running)
    }

    /// The next transfer that is done, and its result.
    func nextDone() -> (Transfer, CURLcode)? {
        var left: Int32 = 0
        while let message = curl_multi_info_read(handle, &left) {
            guard message.pointee.msg == CURLMSG_DONE else { continue }
            if let transfer = Transfer.of(message.pointee.easy_handle) {
                return (transfer, message.pointee.data.result)
            }
        }
        return nil
    }

    /// A body comes in over this socket, and its reader has had the beginning.
    func isFlowing(_ socket: Int32) {
        if let wanted = sockets[socket], holders.isEmpty { loop.isFlowing(socket, for: wanted) }
    }

    /// Stops every transfer of this multi until the holder's reader has caught up.
    func hold(for holder: Transfer) {
        holders.insert(ObjectIdentifier(holder))
        if holders.count == 1 { watchAll() }
    }

    func release(by holder: Transfer) {
        if holders.remove(ObjectIdentifier(holder)) != nil, holders.isEmpty { watchAll() }
    }

    private func watchAll() {
        for (socket, wanted) in sockets { watch(socket, wanted) }
    }

    private func watch(_ socket: Int32, _ wanted: UInt32) {
        if holders.isEmpty {
            loop.watch(socket, for: wanted, by: self)
        } else {
            // Not even for errors, which epoll always reports and which would be reported over and over.
            loop.forget(socket)
        }
    }

    private func want(_ what: Int32, of socket: Int32, for easy: UnsafeMutableRawPointer?) {
        if what == CURL_POLL_REMOVE {
            sockets[socket] = nil
            loop.forget(socket)
        } else {
            let wanted =
                (what & CURL_POLL_IN != 0 ? EPOLLIN.rawValue : 0)
                | (what & CURL_POLL_OUT != 0 ? EPOLLOUT.rawValue : 0)
            sockets[socket] = wanted
            if let easy { Transfer.of(easy)?.socket = socket }
            watch(socket, wanted)
        }
    }

    private func setTimer(_ milliseconds: Int) {
        timer = milliseconds < 0 ? nil : loop.now.addingClamped(Int64(milliseconds) * 1_000_000)
    }
}

/// How many connections a host may have.
///
/// Until a server's settings have arrived libcurl takes it for one that allows 100 streams, and opens a connection for
/// each request above that. So there is one connection until a response shows what the server speaks.
struct ConnectionLimits {
    let atFirst: Int
    let multiplexed: Int
    let exclusive: Int

    init(for target: RequestTarget, _ version: HTTPVersion, _ configuration: HTTPClient.Configuration) {
        exclusive = configuration.maxConnectionsPerHost
        if version == .http2, target.isSecure || CurlEasy.reusesPriorKnowledge {
            atFirst = 1
            multiplexed = configuration.maxHTTP2ConnectionsPerHost
        } else {
            atFirst = exclusive
            multiplexed = exclusive
        }
    }
}

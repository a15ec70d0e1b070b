// Owns the epoll instances: which sockets are watched for what, and those in the middle of a body apart from the others.

import CCurl
import Glibc

/// Waits for many sockets at a cost that doesn't grow with the number that are silent.
struct Poller: ~Copyable {
    private let descriptor: Int32
    /// Has the sockets in mid-body. It is itself watched by `descriptor`, unless they rest.
    let flow: Int32
    private var flowing: Set<Int32> = []
    private var isFlowWatched = true

    /// Nil where the system has no descriptor left.
    init?(wakeDescriptor: Int32) {
        descriptor = wakeDescriptor < 0 ? -1 : epoll_create1(Int32(EPOLL_CLOEXEC))
        flow = epoll_create1(Int32(EPOLL_CLOEXEC))
        if descriptor < 0 || flow < 0 { return nil }
        Self.watch(wakeDescriptor, for: EPOLLIN.rawValue, in: descriptor)
        Self.watch(flow, for: EPOLLIN.rawValue, in: descriptor)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if flow >= 0 { close(flow) }
    }

    /// Watches `socket` for exactly these events, level-triggered.
    func watch(_ socket: Int32, for events: UInt32) {
        Self.watch(socket, for: events, in: flowing.contains(socket) ? flow : descriptor)
    }

    /// From here on, until it is forgotten, the socket belongs to those in mid-body.
    mutating func setFlowing(_ socket: Int32, for events: UInt32) {
        guard flowing.insert(socket).inserted else { return }
        Self.forget(socket, in: descriptor)
        Self.watch(socket, for: events, in: flow)
    }

    /// Whether the sockets in mid-body end a wait.
    mutating func watchFlow(_ isWatched: Bool) {
        guard isWatched != isFlowWatched else { return }
        isFlowWatched = isWatched
        Self.watch(flow, for: isWatched ? EPOLLIN.rawValue : 0, in: descriptor)
    }

    private static func watch(_ socket: Int32, for events: UInt32, in descriptor: Int32) {
        var event = epoll_event(events: events, data: epoll_data_t(fd: socket))
        // A socket that was closed left the set by itself, and its number may have come back: so neither call
        // alone can be right.
        if epoll_ctl(descriptor, EPOLL_CTL_MOD, socket, &event) != 0, errno == ENOENT {
            _ = epoll_ctl(descriptor, EPOLL_CTL_ADD, socket, &event)
        }
    }

    mutating func forget(_ socket: Int32) {
        Self.forget(socket, in: flowing.remove(socket) == nil ? descriptor : flow)
    }

    private static func forget(_ socket: Int32, in descriptor: Int32) {
        var event = epoll_event()
        // Fails when the socket is closed already, which is as good.
        _ = epoll_ctl(descriptor, EPOLL_CTL_DEL, socket, &event)
    }

    /// Waits for events, without limit if `milliseconds` is negative, and returns how many of `events` it filled.
    func wait(into events: inout [epoll_event], milliseconds: Int32) -> Int {
        // Interrupted waits count as empty ones: the caller looks at its deadlines and waits again.
        max(0, Int(epoll_wait(descriptor, &events, Int32(events.count), milliseconds)))
    }

    /// Which sockets in mid-body have news, without waiting.
    func lookAtFlow(into events: inout [epoll_event]) -> Int {
        max(0, Int(epoll_wait(flow, &events, Int32(events.count), 0)))
    }
}

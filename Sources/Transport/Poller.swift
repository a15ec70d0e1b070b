// Owns one epoll instance: which sockets are watched for what.

import CCurl
import Glibc

/// Waits for many sockets at a cost that doesn't grow with the number that are silent.
struct Poller: ~Copyable {
    private let descriptor: Int32

    /// Nil where the system has no descriptor left.
    init?(wakeDescriptor: Int32) {
        descriptor = wakeDescriptor < 0 ? -1 : epoll_create1(Int32(EPOLL_CLOEXEC))
        if descriptor < 0 { return nil }
        watch(wakeDescriptor, for: EPOLLIN.rawValue)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Watches `socket` for exactly these events, level-triggered.
    func watch(_ socket: Int32, for events: UInt32) {
        var event = epoll_event(events: events, data: epoll_data_t(fd: socket))
        // A socket that was closed left the set by itself, and its number may have come back: so neither call
        // alone can be right.
        if epoll_ctl(descriptor, EPOLL_CTL_MOD, socket, &event) != 0, errno == ENOENT {
            _ = epoll_ctl(descriptor, EPOLL_CTL_ADD, socket, &event)
        }
    }

    func forget(_ socket: Int32) {
        var event = epoll_event()
        // Fails when the socket is closed already, which is as good.
        _ = epoll_ctl(descriptor, EPOLL_CTL_DEL, socket, &event)
    }

    /// Waits for events, without limit if `milliseconds` is negative, and returns how many of `events` it filled.
    func wait(into events: inout [epoll_event], milliseconds: Int32) -> Int {
        // Interrupted waits count as empty ones: the caller looks at its deadlines and waits again.
        max(0, Int(epoll_wait(descriptor, &events, Int32(events.count), milliseconds)))
    }
}

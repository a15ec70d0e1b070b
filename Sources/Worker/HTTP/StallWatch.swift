/// Notices a reader that takes nothing of what waits for it. Bytes still in the kernel's buffer count as taken.
import NIOCore

struct StallWatch {
    private var waiting = 0
    private var since: ContinuousClock.Instant?

    mutating func isStalled(_ channel: any Channel, now: ContinuousClock.Instant, limit: Duration) -> Bool {
        // An option that a channel type lacks means nothing is known to wait.
        let bytes = (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        return isStalled(waiting: bytes, now: now, limit: limit)
    }

    mutating func isStalled(waiting bytes: Int, now: ContinuousClock.Instant, limit: Duration) -> Bool {
        defer { waiting = bytes }
        guard bytes > 0, bytes >= waiting, let since else {
            since = bytes > 0 ? now : nil
            return false
        }
        return since.duration(to: now) >= limit
    }
}

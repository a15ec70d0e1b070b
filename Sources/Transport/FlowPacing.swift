/// Decides when sockets in the middle of a body are looked at: at once while they have news one at a time, together every two
/// milliseconds while several have. A value; the clock is a parameter, in nanoseconds.
///
/// Each wake-up costs this thread and the reader's more than the bytes do. A model's words come some fifty a second in each
/// of hundreds of streams: nobody sees two milliseconds between them. What a reader waits for from the start, a head and a
/// body's first bytes, is never held up by this.
struct FlowPacing {
    static let rest: Int64 = 2_000_000

    /// When the sockets are to be looked at though nobody watches them; nil while they are watched.
    private(set) var due: Int64?

    /// - Parameter isMore: there were as many as fit into one look.
    mutating func looked(finding count: Int, isMore: Bool, at now: Int64) {
        if isMore {
            due = now
        } else {
            due = count > 1 ? now.addingClamped(Self.rest) : nil
        }
    }
}

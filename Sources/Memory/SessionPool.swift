/// L1's rules as a value: which sessions stay in memory, whose turn it is in each, and which leave first.

/// Sessions by digest with least-recently-used order, a byte budget and one holder each. No locks, no clock: the
/// owner serialises the calls and passes the time. Generic over what a session holds and who waits for it.
struct SessionPool<Content, Waiter> {
    struct Limits {
        /// Bytes of all sessions, their slots included.
        var bytes: Int
        /// Milliseconds after which an unused session leaves.
        var idle: Int64
        /// Waiters a session.
        var waiters: Int
    }

    /// Bytes that a session costs beside its content: slot, key and table entry.
    static var slotBytes: Int { 256 }

    enum Hold {
        /// The caller holds the session now; nil content must be loaded.
        case held(Content?)
        case occupied
    }

    enum Wait {
        case held(Content?)
        case queued
        case refused(waiting: Int)
    }

    enum Release {
        case idle
        /// The session is the waiter's now, as if it had called `hold`.
        case handOver(Waiter, Content?)
    }

    private struct Slot {
        var key: Digest128
        var content: Content?
        var bytes = 0
        var lastUsed: Int64
        var held = true
        var waiters: [(ticket: UInt64, waiter: Waiter)] = []
        var newer: Int32 = Self.none
        var older: Int32 = Self.none

        static var none: Int32 { -1 }
    }

    let limits: Limits
    /// Those named in `vacant` are empty.
    private var slots: [Slot] = []
    private var vacant: [Int32] = []
    private var places: [Digest128: Int32] = [:]
    private var newest = Slot.none
    private var oldest = Slot.none
    private(set) var bytes = 0
    private(set) var waiting = 0

    init(limits: Limits) {
        self.limits = limits
    }

    var count: Int { places.count }

    /// Takes a session for one turn, if nobody has it.
    mutating func hold(_ key: Digest128, now: Int64) -> Hold {
        guard let place = places[key] else {
            insert(key, now: now)
            return .held(nil)
        }
        guard self[place].held == false else { return .occupied }
        self[place].held = true
        touch(place, now: now)
        return .held(self[place].content)
    }

    /// Takes a session, or queues for it, first come first served.
    mutating func wait(_ key: Digest128, ticket: UInt64, waiter: Waiter, now: Int64) -> Wait {
        if case .held(let content) = hold(key, now: now) { return .held(content) }
        guard let place = places[key] else { return .refused(waiting: 0) }
        let queued = self[place].waiters.count
        guard queued < limits.waiters else { return .refused(waiting: queued) }
        self[place].waiters.append((ticket, waiter))
        waiting += 1
        return .queued
    }

    /// Takes a waiter out of the queue; nil where it has left it already.
    mutating func abandon(_ key: Digest128, ticket: UInt64) -> Waiter? {
        guard let place = places[key],
            let index = self[place].waiters.firstIndex(where: { $0.ticket == ticket })
        else { return nil }
        waiting -= 1
        return self[place].waiters.remove(at: index).waiter
    }

    /// Ends a hold. A session without content is not kept.
    mutating func release(_ key: Digest128, now: Int64) -> Release {
        guard let place = places[key], self[place].held else { return .idle }
        touch(place, now: now)
        if !self[place].waiters.isEmpty {
            waiting -= 1
            return .handOver(self[place].waiters.removeFirst().waiter, self[place].content)
        }
        self[place].held = false
        if self[place].content == nil { remove(place) }
        return .idle
    }

    /// Gives a held session its content.
    mutating func put(_ key: Digest128, _ content: Content, bytes size: Int) {
        guard let place = places[key] else { return }
        bytes += size - self[place].bytes
        self[place].bytes = size
        self[place].content = content
    }

    /// Changes a session's content where it is here; `body` returns what it weighs now.
    mutating func modify(_ key: Digest128, _ body: (inout Content) -> Int) -> Content? {
        guard let place = places[key], var content = self[place].content else { return nil }
        self[place].content = nil
        let size = body(&content)
        put(key, content, bytes: size)
        return content
    }

    /// Drops a session's content: the next turn loads it anew. A running turn goes on.
    mutating func discard(_ key: Digest128) {
        guard let place = places[key] else { return }
        bytes -= self[place].bytes
        self[place].bytes = 0
        self[place].content = nil
        if !self[place].held { remove(place) }
    }

    func isResident(_ key: Digest128) -> Bool { places[key].map { self[$0].content != nil } ?? false }

    func isHeld(_ key: Digest128) -> Bool { places[key].map { self[$0].held } ?? false }

    var keys: [Digest128] { Array(places.keys) }

    /// Sends away what is too old, and the least recently used while there is too much; never one in use.
    mutating func evict(now: Int64) -> Int {
        var evicted = 0
        var place = oldest
        while place != Slot.none {
            let slot = self[place]
            let next = slot.newer
            let expired = now - slot.lastUsed >= limits.idle
            guard expired || bytes > limits.bytes else { break }
            if !slot.held {
                remove(place)
                evicted += 1
            }
            place = next
        }
        return evicted
    }

    /// Takes every waiter out of its queue: for the end of the pool.
    mutating func abandonAll() -> [Waiter] {
        var waiters: [Waiter] = []
        for place in places.values {
            waiters += self[place].waiters.map(\.waiter)
            self[place].waiters = []
        }
        waiting = 0
        return waiters
    }
}

/// The least-recently-used order: a list threaded through the slots.
extension SessionPool {
    private subscript(_ place: Int32) -> Slot {
        get { slots[Int(place)] }
        _modify { yield &slots[Int(place)] }
    }

    private mutating func insert(_ key: Digest128, now: Int64) {
        let slot = Slot(key: key, lastUsed: now)
        let place: Int32
        if let free = vacant.popLast() {
            place = free
            slots[Int(free)] = slot
        } else {
            place = Int32(slots.count)
            slots.append(slot)
        }
        places[key] = place
        bytes += Self.slotBytes
        linkAsNewest(place)
    }

    private mutating func remove(_ place: Int32) {
        unlink(place)
        bytes -= self[place].bytes + Self.slotBytes
        places[self[place].key] = nil
        self[place].content = nil
        vacant.append(place)
    }

    private mutating func touch(_ place: Int32, now: Int64) {
        self[place].lastUsed = max(now, self[place].lastUsed)
        guard place != newest else { return }
        unlink(place)
        linkAsNewest(place)
    }

    private mutating func linkAsNewest(_ place: Int32) {
        self[place].older = newest
        self[place].newer = Slot.none
        if newest != Slot.none { self[newest].newer = place }
        newest = place
        if oldest == Slot.none { oldest = place }
    }

    private mutating func unlink(_ place: Int32) {
        let (newer, older) = (self[place].newer, self[place].older)
        if newer == Slot.none { newest = older } else { self[newer].older = older }
        if older == Slot.none { oldest = newer } else { self[older].newer = newer }
    }
}

/// The tasks that wait for an exchange's end, each under a token, so that one can be called off without the others.
struct LeaveWaits {
    private var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    /// Called off before they had begun: cancellation may overtake the wait on its way to the event loop.
    private var calledOff: Set<Int> = []

    /// - Parameter isOver: there is nothing left to wait for.
    mutating func add(_ continuation: CheckedContinuation<Void, Never>, token: Int, isOver: Bool) {
        if isOver || calledOff.remove(token) != nil {
            continuation.resume()
        } else {
            waiting[token] = continuation
        }
    }

    mutating func cancel(token: Int) {
        if let continuation = waiting.removeValue(forKey: token) {
            continuation.resume()
        } else {
            calledOff.insert(token)
        }
    }

    mutating func endAll() {
        let ended = waiting
        waiting = [:]
        calledOff = []
        for continuation in ended.values { continuation.resume() }
    }
}

/// Decides how long to wait before another attempt: doubled each time up to a limit, and jittered so that many clients
/// don't come back together.
struct BackOff {
    let first: Duration
    let limit: Duration

    /// - Parameter failures: attempts that failed in a row; 0 gives no wait.
    /// - Returns: between half of the step and all of it.
    func delay(after failures: Int, using generator: inout some RandomNumberGenerator) -> Duration {
        guard failures > 0 else { return .zero }
        var step = first
        for _ in 1..<min(failures, 32) where step < limit { step *= 2 }
        step = min(step, limit)
        return step * Double.random(in: 0.5...1, using: &generator)
    }
}

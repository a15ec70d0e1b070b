/// The faults that a test asks the stand-in for, and which request meets which.

/// What goes wrong with a request, and how often.
public struct Fault: Sendable, Codable {
    public enum Effect: String, Sendable, Codable {
        /// Answers `code`, and does nothing.
        case refuse
        /// Never answers, and does nothing.
        case hang
        /// Does what is asked, and closes the connection in place of an answer.
        case loseAnswer
    }

    public var effect: Effect
    /// The status of a refusal.
    public var code: Int
    /// Seconds that a refusal tells in `Retry-After`.
    public var retryAfter: Int?
    /// The method that it is about; nil: any.
    public var method: String?
    /// What the path must hold; nil: any path.
    public var path: String?
    /// How many requests meet it; nil: all, until the faults are cleared.
    public var times: Int?
    /// Every how-manieth request that fits meets it.
    public var every: Int

    public init(
        _ effect: Effect, code: Int = 500, retryAfter: Int? = nil, method: String? = nil, path: String? = nil,
        times: Int? = nil, every: Int = 1
    ) {
        self.effect = effect
        self.code = code
        self.retryAfter = retryAfter
        self.method = method
        self.path = path
        self.times = times
        self.every = every
    }

    /// All but the effect may be left out.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try values.decode(Effect.self, forKey: .effect),
            code: try values.decodeIfPresent(Int.self, forKey: .code) ?? 500,
            retryAfter: try values.decodeIfPresent(Int.self, forKey: .retryAfter),
            method: try values.decodeIfPresent(String.self, forKey: .method),
            path: try values.decodeIfPresent(String.self, forKey: .path),
            times: try values.decodeIfPresent(Int.self, forKey: .times),
            every: try values.decodeIfPresent(Int.self, forKey: .every) ?? 1)
    }
}

struct StatedFaults: Sendable {
    private var faults: [(fault: Fault, seen: Int, met: Int)] = []
    /// How many requests met a fault.
    private(set) var met = 0

    mutating func add(_ fault: Fault) { faults.append((fault, 0, 0)) }
    mutating func clear() { faults = [] }

    /// The fault that a request meets, counted.
    mutating func fault(method: String, path: String) -> Fault? {
        for index in faults.indices {
            let fault = faults[index].fault
            guard fault.method == nil || fault.method == method, fault.path.map(path.contains) ?? true,
                faults[index].met < fault.times ?? .max
            else { continue }
            faults[index].seen += 1
            guard faults[index].seen.isMultiple(of: fault.every) else { continue }
            faults[index].met += 1
            met += 1
            return fault
        }
        return nil
    }
}

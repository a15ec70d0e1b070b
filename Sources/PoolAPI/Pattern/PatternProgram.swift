/// Compiles a regular expression into the instructions of a Pike machine, and bounds how many they may be.
struct PatternProgram: Sendable {
    /// Counted repetition writes its part out as often as it is counted; the time for each scalar grows with the instructions.
    static let maximumSize = 4000

    struct Instruction: Sendable {
        enum Kind: Sendable {
            /// Takes a scalar of `sets[target]` and goes on at `other`.
            case take
            /// Goes on at the next instruction where it holds.
            case assertion(PatternAssertion)
            case jump
            /// Goes on at `target` or `other`, the first being preferred.
            case split
            case match
        }

        var kind: Kind
        var target = 0
        var other = 0
        /// The ASCII members of the set, one bit each.
        var ascii: (low: UInt64, high: UInt64) = (0, 0)

        fileprivate var isTake: Bool { if case .take = kind { true } else { false } }
    }

    private(set) var instructions: [Instruction] = []
    private(set) var sets: [ScalarSet] = []
    /// By value, whether a match can begin with this byte; empty where a match can be empty.
    private(set) var firstBytes: [Bool] = []

    init(_ node: PatternNode) throws(PatternError) {
        try write(node)
        try write(Instruction(kind: .match))
        firstBytes = bytesThatBegin()
    }

    private mutating func write(_ instruction: Instruction) throws(PatternError) {
        guard instructions.count < Self.maximumSize else {
            throw PatternError(message: "the pattern is too large; count fewer repetitions")
        }
        instructions.append(instruction)
    }

    private mutating func write(_ node: PatternNode) throws(PatternError) {
        switch node {
        case .scalars(let set):
            var take = Instruction(kind: .take, target: sets.count, other: instructions.count + 1)
            for value in UInt8(0)..<128 where set.contains(Unicode.Scalar(value)) {
                if value < 64 { take.ascii.low |= 1 << value } else { take.ascii.high |= 1 << (value - 64) }
            }
            sets.append(set)
            try write(take)
        case .assertion(let assertion): try write(Instruction(kind: .assertion(assertion)))
        case .sequence(let parts):
            for part in parts { try write(part) }
        case .alternation(let branches): try write(branches)
        case .repetition(let part, let least, let most, let isLazy):
            try write(part, least: least, most: most, isLazy: isLazy)
        }
    }

    private mutating func write(_ branches: [PatternNode]) throws(PatternError) {
        var jumps: [Int] = []
        for (index, branch) in branches.enumerated() {
            let split = instructions.count
            let isLast = index == branches.count - 1
            if !isLast { try write(Instruction(kind: .split, target: split + 1)) }
            try write(branch)
            if !isLast {
                jumps.append(instructions.count)
                try write(Instruction(kind: .jump))
                instructions[split].other = instructions.count
            }
        }
        for jump in jumps { instructions[jump].target = instructions.count }
    }

    private mutating func write(
        _ part: PatternNode, least: Int, most: Int?, isLazy: Bool
    ) throws(PatternError) {
        guard let most else { return try writeLoop(part, least: least, isLazy: isLazy) }
        for _ in 0..<least {
            let size = instructions.count
            try write(part)
            // What needs no instruction may be counted as often as one likes: the size bounds no loop then.
            if instructions.count == size { break }
        }
        var skips: [Int] = []
        for _ in least..<most {
            skips.append(instructions.count)
            try write(Instruction(kind: .split))
            try write(part)
        }
        for skip in skips { branch(skip, into: skip + 1, past: instructions.count, isLazy: isLazy) }
    }

    /// Writes `x{2,}` as `xx+`, and `x*` as `(x+)?`.
    private mutating func writeLoop(_ part: PatternNode, least: Int, isLazy: Bool) throws(PatternError) {
        let skip = instructions.count
        if least == 0 { try write(Instruction(kind: .split)) }
        var exits: [Int] = []
        var start = instructions.count
        for _ in 0..<max(1, least) {
            start = instructions.count
            if let exit = try writeRound(part) { exits.append(exit) }
        }
        let loop = instructions.count
        try write(Instruction(kind: .split))
        branch(loop, into: start, past: loop + 1, isLazy: isLazy)
        if least == 0 { branch(skip, into: skip + 1, past: loop + 1, isLazy: isLazy) }
        for exit in exits { instructions[exit].target = loop + 1 }
    }

    /// Writes the part as a loop's round.
    ///
    /// - Returns: the jump that ends a round which has taken nothing, where there can be such. As in a backtracking matcher it ends the
    ///   loop, which is more than to go round without end: what follows is preferred to what else the part could be.
    private mutating func writeRound(_ part: PatternNode) throws(PatternError) -> Int? {
        let start = instructions.count
        try write(part)
        guard part.isNullable else { return nil }
        // Written twice, for a round that has taken nothing yet and for one that has: each scalar taken in the first copy leads to the
        // same place in the second.
        let exit = instructions.count
        try write(Instruction(kind: .jump))
        try write(part)
        for index in start..<exit where instructions[index].isTake {
            instructions[index].other += exit + 1 - start
        }
        return exit
    }

    private mutating func branch(_ split: Int, into part: Int, past end: Int, isLazy: Bool) {
        instructions[split].target = isLazy ? end : part
        instructions[split].other = isLazy ? part : end
    }

    /// Whether the instruction, one that takes, takes this scalar.
    func takes(_ scalar: UInt32, at index: Int) -> Bool {
        let ascii = instructions[index].ascii
        if scalar < 64 { return ascii.low >> UInt64(scalar) & 1 == 1 }
        if scalar < 128 { return ascii.high >> UInt64(scalar - 64) & 1 == 1 }
        return Unicode.Scalar(scalar).map(sets[instructions[index].target].contains) ?? false
    }

    private func bytesThatBegin() -> [Bool] {
        var bytes = [Bool](repeating: false, count: 256)
        var seen = Set<Int>()
        var pending = [0]
        while let index = pending.popLast() {
            guard seen.insert(index).inserted else { continue }
            let instruction = instructions[index]
            switch instruction.kind {
            case .match: return []
            case .jump: pending.append(instruction.target)
            case .split: pending += [instruction.target, instruction.other]
            // Held to be met: a byte too many costs a try.
            case .assertion: pending.append(index + 1)
            case .take: Self.mark(sets[instruction.target], in: &bytes)
            }
        }
        return bytes
    }

    private static func mark(_ set: ScalarSet, in bytes: inout [Bool]) {
        for value in UInt8(0)..<128 where set.contains(Unicode.Scalar(value)) { bytes[Int(value)] = true }
        guard set.isListed else {
            for value in 0xC2..<0xF5 { bytes[value] = true }
            return
        }
        for range in set.ranges where range.upperBound >= 0x80 {
            let lower = firstByte(of: max(range.lowerBound, 0x80))
            for value in lower...firstByte(of: range.upperBound) { bytes[value] = true }
        }
    }

    private static func firstByte(of value: UInt32) -> Int {
        switch value {
        case ..<0x800: Int(0xC0 | value >> 6)
        case ..<0x1_0000: Int(0xE0 | value >> 12)
        default: Int(0xF0 | value >> 18)
        }
    }
}

/// Finds, in one sweep from a text's end to its start, where the match ends that begins at each place.

/// Costs the program's length for each scalar, whatever matches: for patterns that read on far past their matches, so that a search for
/// each of them would read the same text again and again.
struct PatternSweep {
    private static let none = -1

    private let start: Int
    /// By place from the start on, the end of the match that begins there.
    private var ends: [Int]

    init(_ program: PatternProgram, in text: ScalarText, from start: Int) {
        self.start = start
        ends = [Int](repeating: Self.none, count: text.count - start + 1)
        let order = Self.order(of: program)
        // By instruction, where the match ends that goes on there, at a place and at the one after it.
        var here = [Int](repeating: Self.none, count: program.instructions.count)
        var following = here
        var place = text.count
        while true {
            let scalar = place < text.count ? text.scalar(at: place).value : nil
            for index in order {
                let instruction = program.instructions[index]
                switch instruction.kind {
                case .match: here[index] = place
                case .jump: here[index] = here[instruction.target]
                case .split:
                    let preferred = here[instruction.target]
                    here[index] = preferred == Self.none ? here[instruction.other] : preferred
                case .assertion(let assertion):
                    here[index] = text.holds(assertion, at: place) ? here[index + 1] : Self.none
                case .take:
                    let isTaken = scalar.map { program.takes($0, at: index) } ?? false
                    here[index] = isTaken ? following[instruction.other] : Self.none
                }
            }
            ends[place - start] = here[0]
            if place == start { return }
            place = text.place(before: place)
            swap(&here, &following)
        }
    }

    /// The match that begins first at `start` or after it.
    func firstMatch(from start: Int) -> Range<Int>? {
        let following = ends[(start - self.start)...]
        guard let index = following.firstIndex(where: { $0 != Self.none }) else { return nil }
        return self.start + index..<ends[index]
    }

    /// The instructions, each after those it leads to without taking a scalar. There is always such an order: a loop's round that takes
    /// nothing ends the loop.
    private static func order(of program: PatternProgram) -> [Int] {
        var order: [Int] = []
        var seen = [Bool](repeating: false, count: program.instructions.count)
        for root in program.instructions.indices {
            var pending = [(index: root, isLeaving: false)]
            while let (index, isLeaving) = pending.popLast() {
                if isLeaving {
                    order.append(index)
                    continue
                }
                guard !seen[index] else { continue }
                seen[index] = true
                pending.append((index, true))
                let instruction = program.instructions[index]
                switch instruction.kind {
                case .take, .match: break
                case .assertion: pending.append((index + 1, false))
                case .jump: pending.append((instruction.target, false))
                case .split: pending += [(instruction.target, false), (instruction.other, false)]
                }
            }
        }
        return order
    }
}

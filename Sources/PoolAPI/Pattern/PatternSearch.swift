/// Looks for a program's matches in UTF-8: a Pike machine, whose threads all advance by one scalar at a time.

/// An instruction is in a list of threads once at most, so a scalar costs no more than the program is long, whatever the text.
struct PatternSearch {
    /// A way of matching that is still open.
    private struct Thread {
        var instruction: Int
        var start: Int
    }

    /// The threads at a place in the text, those to be preferred first.
    private struct Threads {
        var list: [Thread] = []
        /// By instruction, the round in which it came by last.
        var rounds: [Int]
        var round = 0

        mutating func clear() {
            list.removeAll(keepingCapacity: true)
            round += 1
        }
    }

    private let program: PatternProgram
    private let text: ScalarText
    private var threads: Threads
    private var following: Threads
    private var pending: [Int] = []
    /// Where the last search stopped reading.
    private(set) var reach = 0

    init(_ program: PatternProgram, in text: ScalarText) {
        self.program = program
        self.text = text
        threads = Threads(rounds: [Int](repeating: -1, count: program.instructions.count))
        following = threads
    }

    /// The match that begins first at `start` or after it, and of those the one that the pattern prefers.
    ///
    /// - Parameter anyWillDo: whether the first match that ends is enough, which need not be that one.
    mutating func firstMatch(from start: Int, anyWillDo: Bool = false) -> Range<Int>? {
        var match: Range<Int>?
        var place = start
        threads.clear()
        defer { reach = place }
        while true {
            if match == nil {
                if threads.list.isEmpty {
                    place = placeToBegin(from: place)
                    // The round was another place's, where other assertions hold.
                    threads.clear()
                }
                // Of all that are open, a match that begins here is the last to be preferred.
                Self.add(
                    Thread(instruction: 0, start: place), to: &threads, at: place, &pending, program, text)
            }
            if threads.list.isEmpty, match != nil || place == text.count { return match }
            following.clear()
            let (scalar, end) = place < text.count ? text.scalar(at: place) : (0, place + 1)
            stepping: for thread in threads.list {
                let instruction = program.instructions[thread.instruction]
                switch instruction.kind {
                case .match:
                    match = thread.start..<place
                    if anyWillDo { return match }
                    // What follows in the list is not preferred to this.
                    break stepping
                case .take where place < text.count && program.takes(scalar, at: thread.instruction):
                    Self.add(
                        Thread(instruction: instruction.other, start: thread.start), to: &following,
                        at: end, &pending, program, text)
                default: break
                }
            }
            if place == text.count { return match }
            swap(&threads, &following)
            place = end
        }
    }

    /// The next place where a match may begin.
    private func placeToBegin(from start: Int) -> Int {
        guard !program.firstBytes.isEmpty else { return start }
        return program.firstBytes.withUnsafeBufferPointer { begins in
            var place = start
            while place < text.count, !begins[Int(text.bytes[place])] { place += 1 }
            return place
        }
    }

    /// Puts the instructions on the list that a thread comes to without taking a scalar.
    ///
    /// Static, for the lists are parts of the search that the caller changes meanwhile.
    private static func add(
        _ thread: Thread, to threads: inout Threads, at place: Int, _ pending: inout [Int],
        _ program: PatternProgram, _ text: ScalarText
    ) {
        pending.append(thread.instruction)
        while let index = pending.popLast() {
            guard threads.rounds[index] != threads.round else { continue }
            threads.rounds[index] = threads.round
            let instruction = program.instructions[index]
            switch instruction.kind {
            case .jump: pending.append(instruction.target)
            case .split:
                pending.append(instruction.other)
                pending.append(instruction.target)
            case .assertion(let assertion):
                if text.holds(assertion, at: place) { pending.append(index + 1) }
            case .take, .match: threads.list.append(Thread(instruction: index, start: thread.start))
            }
        }
    }
}

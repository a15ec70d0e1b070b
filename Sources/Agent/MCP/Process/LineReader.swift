/// Cuts what a process writes into lines, each bounded. A value without I/O.

/// The lines of one pipe: bytes go in, whole lines come out.
struct LineReader: Sendable {
    enum Line: Sendable, Equatable {
        /// Without its end.
        case whole([UInt8])
        /// It is longer than the bound; the rest of it is passed over.
        case cut([UInt8])
    }

    private static let newline = UInt8(ascii: "\n")

    private let limit: Int
    private var line: [UInt8] = []
    private var isPassedOver = false

    /// - Parameter limit: the most bytes of a line that are kept.
    init(limit: Int) {
        self.limit = limit
    }

    mutating func feed(_ bytes: some RandomAccessCollection<UInt8>) -> [Line] {
        var lines: [Line] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: Self.newline) {
            add(rest[..<end], to: &lines)
            if !isPassedOver { lines.append(.whole(line)) }
            line = []
            isPassedOver = false
            rest = rest[rest.index(after: end)...]
        }
        add(rest, to: &lines)
        return lines
    }

    /// What stands after the last line's end, when no more comes.
    mutating func finish() -> Line? {
        defer { line = [] }
        return line.isEmpty || isPassedOver ? nil : .whole(line)
    }

    private mutating func add(_ bytes: some Collection<UInt8>, to lines: inout [Line]) {
        guard !isPassedOver, !bytes.isEmpty else { return }
        guard line.count + bytes.count > limit else { return line.append(contentsOf: bytes) }
        line.append(contentsOf: bytes.prefix(limit - line.count))
        lines.append(.cut(line))
        line = []
        isPassedOver = true
    }
}

/// Writes into the log what a tool server's process says and how it ends: bounded lines, and not too many of them.

import Glibc
import Logging

struct ProcessLog {
    /// Of a line that the process says.
    static let maxLineBytes = 1024
    /// So much more of it is looked at, so that what is to be cut out is seen whole at the line's bound.
    private static let margin = 1024

    private let server: MCPServerName
    private let pid: pid_t
    private let hidden: HiddenValues
    private let logger: Logger
    private var budget = LogBudget()
    /// Of its own: lines that are no message must not cost those that explain something.
    private var rubbishBudget = LogBudget()
    private var hasWarned = false

    /// - Parameter hidden: what no log may hold.
    init(server: MCPServerName, pid: pid_t, hidden: HiddenValues, logger: Logger) {
        self.server = server
        self.pid = pid
        self.hidden = hidden
        self.logger = logger
    }

    /// How many bytes of a line are needed.
    var keptBytes: Int { Self.maxLineBytes + Self.margin + hidden.longest }

    func started() {
        logger.info("A tool server's process was started", metadata: metadata)
    }

    func ended(_ how: String, expected: Bool) {
        var metadata = metadata
        metadata["how"] = "\(how)"
        logger.log(level: expected ? .info : .warning, "A tool server's process is gone", metadata: metadata)
    }

    /// A line of its standard error.
    mutating func said(_ line: LineReader.Line, at now: LogBudget.Instant = .now) {
        guard let text = text(of: line) else { return }
        switch budget.take(at: now) {
        case .omit: return
        case .logAfter(let omitted):
            logger.info(
                "\(server.name): (\(omitted) lines were left out)", metadata: metadata)
        case .log: break
        }
        logger.info("\(server.name): \(text)", metadata: metadata)
    }

    /// A line of its standard output that is no message: told once, and further ones for those who look closely.
    mutating func rubbish(
        _ line: LineReader.Line, because reason: String, at now: LogBudget.Instant = .now
    ) {
        var metadata = metadata
        switch rubbishBudget.take(at: now) {
        case .omit: return
        case .logAfter(let omitted): metadata["omitted"] = "\(omitted)"
        case .log: break
        }
        metadata["reason"] = "\(hidden.line(reason, limit: 200) ?? "")"
        metadata["line"] = "\(text(of: line) ?? "")"
        logger.log(
            level: hasWarned ? .debug : .warning,
            "A tool server's process writes to its standard output what is no message of the protocol",
            metadata: metadata)
        hasWarned = true
    }

    private func text(of line: LineReader.Line) -> String? {
        let (bytes, isWhole): ([UInt8], Bool) =
            switch line {
            case .whole(let bytes): (bytes, bytes.count <= keptBytes)
            case .cut(let bytes): (bytes, false)
            }
        return hidden.line(Array(bytes.prefix(keptBytes)), isWhole: isWhole, limit: Self.maxLineBytes)
    }

    private var metadata: Logger.Metadata {
        ["server": "\(server.name)", "field": "\(server.field)", "pid": "\(pid)"]
    }
}

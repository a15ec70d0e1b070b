/// Logs go to standard error: readable lines in a terminal, one JSON object a line everywhere else.
import Agent
import Foundation
import Logging

enum LogOutput {
    static func bootstrap(level: Logger.Level) {
        let terminal = isatty(STDERR_FILENO) == 1
        LoggingSystem.bootstrap { label in
            LineLogHandler(label: label, logLevel: level, forTerminal: terminal)
        }
    }
}

struct LineLogHandler: LogHandler {
    let label: String
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    let forTerminal: Bool

    init(label: String, logLevel: Logger.Level, forTerminal: Bool) {
        self.label = label
        self.logLevel = logLevel
        self.forTerminal = forTerminal
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let time = Date().formatted(
            .iso8601.dateTimeSeparator(.standard).time(includingFractionalSeconds: true))
        var line = forTerminal ? Self.readable(event, all, time) : Self.json(event, all, time, label)
        line.append(UInt8(ascii: "\n"))
        // One write a line, so that lines of several threads don't mix.
        line.withUnsafeBytes { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private static func readable(
        _ event: LogEvent, _ metadata: [(key: String, value: Logger.MetadataValue)], _ time: String
    ) -> [UInt8] {
        let details = metadata.map { " \($0.key)=\($0.value)" }.joined()
        let level = event.level.rawValue.padding(toLength: 7, withPad: " ", startingAt: 0)
        return Array("\(time) \(level) \(event.message)\(details)".utf8)
    }

    private static func json(
        _ event: LogEvent, _ metadata: [(key: String, value: Logger.MetadataValue)], _ time: String,
        _ label: String
    ) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.field("time", time)
        json.field("level", event.level.rawValue)
        json.field("logger", label)
        json.field("message", event.message.description)
        for (key, value) in metadata {
            json.key(escaping: key)
            json.string("\(value)")
        }
        json.endObject()
        return json.bytes
    }
}

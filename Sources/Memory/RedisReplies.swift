/// Reads what the scripts answer. An answer of another shape is an error that names the script, never what it held.
import Redis

struct RedisReplyShape: Error, CustomStringConvertible {
    var script: String
    var description: String { "the script \"\(script)\" gave an answer of an unknown shape" }
}

/// Fields of an answer, taken from the front.
struct RedisReply {
    let script: String
    private var values: ArraySlice<RedisValue>

    init(_ value: RedisValue, of script: RedisScript) throws {
        self.script = script.name
        guard let values = value.array else { throw RedisReplyShape(script: script.name) }
        self.values = values[...]
    }

    private init(_ values: [RedisValue], script: String) {
        self.script = script
        self.values = values[...]
    }

    var isAtEnd: Bool { values.isEmpty }

    mutating func text() throws -> String {
        guard let text = values.popFirst()?.string else { throw RedisReplyShape(script: script) }
        return text
    }

    /// Nil where the script answered nothing in its place.
    mutating func optionalText() throws -> String? {
        guard let value = values.popFirst() else { throw RedisReplyShape(script: script) }
        if case .null = value { return nil }
        guard let text = value.string else { throw RedisReplyShape(script: script) }
        return text
    }

    mutating func number<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) throws -> Number {
        guard let number = Number(try text()) else { throw RedisReplyShape(script: script) }
        return number
    }

    mutating func list() throws -> RedisReply {
        guard let values = values.popFirst()?.array else { throw RedisReplyShape(script: script) }
        return RedisReply(values, script: script)
    }

    mutating func texts() throws -> [String] {
        var texts: [String] = []
        while !isAtEnd { texts.append(try text()) }
        return texts
    }

    /// - Parameter summary: what stands for a rolling summary that the writer knows already.
    mutating func checkpoint(knowing summary: String = "") throws -> Checkpoint {
        var fields = try list()
        var checkpoint = Checkpoint()
        checkpoint.generation = try fields.number()
        checkpoint.createdAt = try fields.number()
        checkpoint.turnCount = try fields.number()
        checkpoint.lastTurnID = TurnID(try fields.text())
        checkpoint.lastTurnAt = try fields.number()
        checkpoint.activeAgent = try fields.text()
        checkpoint.plannedThrough = try fields.number()
        checkpoint.archivedFirst = try fields.number()
        checkpoint.archivedThrough = try fields.number()
        checkpoint.rollingSummary = try fields.optionalText() ?? summary
        checkpoint.activatedSkills = ActivatedSkills.read(try fields.text())
        return checkpoint
    }

    mutating func turn() throws -> StoredTurn {
        let sequence = try number(Int.self)
        return StoredTurn(sequence: sequence, turn: try RedisTurn.decode(try text(), script: script))
    }

    mutating func turns() throws -> [StoredTurn] {
        var turns: [StoredTurn] = []
        while !isAtEnd { turns.append(try turn()) }
        return turns
    }
}

/// How a turn lies in Redis: what scripts must know of it in lines of their own, then the turn as JSON.
enum RedisTurn {
    /// Scripts tell a whole turn from an unfinished one by this letter, and among these one that goes on.
    static func mark(_ ending: Turn.Ending) -> String {
        switch ending {
        case .complete: "c"
        case .cancelled: "x"
        case .failed: "f"
        case .running, .waiting: "r"
        }
    }

    static func decode(_ value: String, script: String) throws -> Turn {
        guard let json = value.split(separator: "\n", maxSplits: 3, omittingEmptySubsequences: false).last
        else { throw RedisReplyShape(script: script) }
        return try TurnCoding.decode(String(json))
    }
}

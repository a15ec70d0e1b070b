/// How turns are written: JSON in the field names of OpenAI's chat API, as a text that any SQLite shell or Redis client shows.
import Foundation

enum TurnCoding {
    static func encode(_ turn: Turn) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return String(decoding: try encoder.encode(turn), as: UTF8.self)
    }

    static func decode(_ text: String) throws -> Turn {
        try JSONDecoder().decode(Turn.self, from: Data(text.utf8))
    }

    /// A line each: they are short, and read with every memory that a recall finds.
    static func encode(_ texts: [String]) -> String {
        texts.map { $0.replacing("\n", with: " ") }.joined(separator: "\n")
    }

    static func decodeTexts(_ text: String) -> [String] {
        text.split(separator: "\n").map(String.init)
    }
}

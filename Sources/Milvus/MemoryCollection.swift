/// What a collection of memories is: its name, the vectors it holds, its fields; and the card that it carries about itself.
import Foundation

public struct MemoryCollection: Sendable, Hashable {
    /// The most that Milvus takes for a varchar, in bytes.
    public static let largestText = 65_535

    /// Letters, digits and underscores, not a digit first, 255 at most.
    public var name: String
    public var embeddingModel: String
    public var dimension: Int
    /// Bytes of a row's text, at most; longer ones are split by the caller.
    public var maxTextBytes: Int

    public init(
        name: String, embeddingModel: String, dimension: Int, maxTextBytes: Int = MemoryCollection.largestText
    ) {
        self.name = name
        self.embeddingModel = embeddingModel
        self.dimension = dimension
        self.maxTextBytes = maxTextBytes
    }

    /// What is wrong with it before any server is asked.
    var fault: String? {
        let letters = name.utf8.allSatisfy {
            $0 == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
        }
        if !letters || name.isEmpty || name.utf8.count > 255 || name.first?.isNumber == true {
            return "a collection's name has letters, digits and underscores, doesn't start with a digit, "
                + "and has 255 characters at most"
        }
        if !(2...32_768).contains(dimension) { return "vectors have 2 to 32768 dimensions" }
        if !(1...Self.largestText).contains(maxTextBytes) {
            return "a row's text has 1 to \(Self.largestText) bytes"
        }
        return nil
    }

    /// A field's name, type and bound.
    enum Field: String, CaseIterable {
        case id, pool, principal, session
        case sessionName = "session_name"
        case generation, agent
        case firstTurn = "first_turn"
        case lastTurn = "last_turn"
        case time, summary, entities, text, vector
        /// Made by the server out of `text`, where it searches text.
        case words = "text_bm25"

        /// Bytes, at most; nil for what isn't text.
        func bytes(_ collection: MemoryCollection) -> Int? {
            switch self {
            case .id, .agent: 128
            case .pool, .principal, .session: 32
            case .sessionName: 512
            case .summary: 16_384
            case .entities: 8_192
            case .text: collection.maxTextBytes
            case .generation, .firstTurn, .lastTurn, .time, .vector, .words: nil
            }
        }

        /// All that a row consists of but its vector.
        static let scalars: [Field] = allCases.filter { $0 != .vector && $0 != .words }
    }

    var card: Card {
        Card(agentpool: Card.version, model: embeddingModel, dimension: dimension, textBytes: maxTextBytes)
    }

    /// The note in the collection's description that says which vectors are in it, as JSON.
    struct Card: Codable, Equatable {
        static let version = 2
        /// milvus-lite drops a collection's description and keeps its properties.
        static let property = "agentpool.collection"

        /// The version of our schema.
        var agentpool: Int
        var model: String
        var dimension: Int
        var textBytes: Int

        init(agentpool: Int, model: String, dimension: Int, textBytes: Int) {
            self.agentpool = agentpool
            self.model = model
            self.dimension = dimension
            self.textBytes = textBytes
        }

        /// Nil for any text that isn't a card: somebody else's collection.
        init?(text: String) {
            // A description can be anything; that it is no card is the answer, not a failure.
            guard let card = try? JSONDecoder().decode(Card.self, from: Data(text.utf8)) else { return nil }
            self = card
        }

        var text: String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            // A string and integers can't fail to encode.
            let data = (try? encoder.encode(self)) ?? Data()
            return String(decoding: data, as: UTF8.self)
        }

        /// What stands against using a collection with this card as `wanted`; nil where nothing does.
        func difference(from wanted: Card) -> String? {
            if model != wanted.model || dimension != wanted.dimension {
                return "it holds vectors of \(model) (\(dimension) dimensions), not of \(wanted.model) "
                    + "(\(wanted.dimension) dimensions)"
            }
            if textBytes < wanted.textBytes {
                return "its texts have \(textBytes) bytes at most, not \(wanted.textBytes)"
            }
            return nil
        }
    }
}

// Builds the requests that make a collection: its schema with its card, and its indexes.
import Foundation
import MilvusProtocol
import SwiftProtobuf

extension MemoryCollection {
    /// - Parameter searchesText: with a field of BM25 vectors that the server makes of each text.
    func creation(searchesText: Bool, keepsDescription: Bool) throws -> Wire.Create {
        var request = Wire.Create()
        request.collectionName = name
        request.schema = try schema(searchesText: searchesText).serializedData()
        request.shardsNum = 1
        request.consistencyLevel = .bounded
        if !keepsDescription { request.properties = [Wire.Pair(Card.property, card.text)] }
        return request
    }

    private func schema(searchesText: Bool) -> Wire.CollectionSchema {
        var schema = Wire.CollectionSchema()
        schema.name = name
        schema.description_p = card.text
        schema.fields = Field.allCases.filter { $0 != .words || searchesText }.map { field in
            var wire = Wire.FieldSchema()
            wire.name = field.rawValue
            wire.isPrimaryKey = field == .id
            wire.dataType = field.type
            if let bytes = field.bytes(self) { wire.typeParams.append(Wire.Pair("max_length", "\(bytes)")) }
            switch field {
            case .vector: wire.typeParams.append(Wire.Pair("dim", "\(dimension)"))
            case .text where searchesText: wire.typeParams.append(Wire.Pair("enable_analyzer", "true"))
            case .words: wire.isFunctionOutput = true
            default: break
            }
            return wire
        }
        if searchesText {
            var function = Wire.FunctionSchema()
            function.name = "text_bm25"
            function.type = .bm25
            function.inputFieldNames = [Field.text.rawValue]
            function.outputFieldNames = [Field.words.rawValue]
            schema.functions = [function]
        }
        return schema
    }

    /// The ways to index a field, the best first; a server may know only a later one.
    func indexes(of field: Field) -> [Wire.CreateIndex] {
        let choices: [[(String, String)]] =
            switch field {
            case .vector:
                [
                    [
                        ("index_type", "HNSW"), ("metric_type", "COSINE"),
                        ("params", #"{"M": 16, "efConstruction": 200}"#),
                    ],
                    [("index_type", "AUTOINDEX"), ("metric_type", "COSINE")],
                    [("index_type", "FLAT"), ("metric_type", "COSINE")],
                ]
            case .words:
                [
                    [
                        ("index_type", "SPARSE_INVERTED_INDEX"), ("metric_type", "BM25"),
                        ("params", #"{"bm25_k1": 1.2, "bm25_b": 0.75}"#),
                    ],
                    [("index_type", "AUTOINDEX"), ("metric_type", "BM25")],
                ]
            default: []
            }
        return choices.map { parameters in
            var request = Wire.CreateIndex()
            request.collectionName = name
            request.fieldName = field.rawValue
            request.indexName = field.rawValue
            request.extraParams = parameters.map { Wire.Pair($0.0, $0.1) }
            return request
        }
    }

    /// What a collection that is there has to do with the one that is wanted.
    enum Match: Equatable {
        case same(searchesText: Bool)
        case other(String)
    }

    /// What a collection says of itself; nil: it is none of ours.
    static func card(of found: Wire.Description) -> Card? {
        Card(
            text: found.properties.first { $0.key == Card.property }?.value ?? found.schema.description_p)
    }

    func match(_ found: Wire.Description) -> Match {
        guard let card = Self.card(of: found) else {
            return .other("it is not a collection of AgentPool's memories; name another one")
        }
        if card.agentpool != Card.version {
            return .other(
                "its schema has version \(card.agentpool), this program reads and writes version \(Card.version); "
                    + "name another collection")
        }
        if let difference = card.difference(from: self.card) {
            return .other(
                "\(difference); name another collection, and run `agentpool reindex` to copy this one into it"
            )
        }
        let fields = Set(found.schema.fields.map(\.name))
        let missing = Field.allCases.filter { $0 != .words && !fields.contains($0.rawValue) }
        guard missing.isEmpty else {
            let names = missing.map(\.rawValue).joined(separator: ", ")
            return .other(
                "it lacks the fields \(names); name another collection, and run `agentpool reindex` to copy this one into it"
            )
        }
        return .same(searchesText: fields.contains(Field.words.rawValue) && !found.schema.functions.isEmpty)
    }
}

extension MemoryCollection.Field {
    var type: Wire.DataType {
        switch self {
        case .generation, .firstTurn, .lastTurn, .time: .int64
        case .vector: .floatVector
        case .words: .sparseFloatVector
        default: .varChar
        }
    }
}

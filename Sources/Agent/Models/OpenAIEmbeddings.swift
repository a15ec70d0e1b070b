import Memory
import PoolAPI
import Transport

/// Embeddings of any server that speaks OpenAI's embeddings API: batched, put in order, checked and brought
/// to unit length.
public struct OpenAIEmbeddings: Sendable {
    /// Texts a request. Servers' own limits start at 32 (text-embeddings-inference).
    static let batchSize = 32
    /// Bytes of a text that are sent; models read less than this, and some servers refuse more than they
    /// read.
    static let textLimit = 32 * 1024
    static let replyLimit = 64 << 20
    private static let reserved: Set<String> = ["model", "input", "encoding_format"]

    private let endpoint: ModelEndpoint
    private let dimension: Int

    /// Throws where the manifest doesn't tell the embedding's dimension.
    public init(
        _ model: AgentPoolSpec.Model, field: String, http: HTTPClient,
        secrets: @escaping @Sendable (SecretKeyRef) -> String?
    ) throws(ModelError) {
        guard let dimension = model.dimensions, dimension > 0 else {
            throw ModelError(
                .configuration,
                "\(field).dimensions is missing: an embedding model needs the length of its vectors.")
        }
        self.dimension = dimension
        endpoint = ModelEndpoint(
            field: field, model: model, http: http, secrets: secrets, idleTimeout: .seconds(30))
    }

    /// Vectors of one space are those of the server's model name and dimension.
    public var embedder: Embedder {
        let this = self
        return Embedder(model: endpoint.model.model, dimension: dimension) { texts in
            try await this.embed(texts)
        }
    }

    func embed(_ texts: [String]) async throws(ModelError) -> [[Float]] {
        var vectors: [[Float]] = []
        vectors.reserveCapacity(texts.count)
        var start = 0
        while start < texts.count {
            let batch = texts[start..<min(start + Self.batchSize, texts.count)]
            let answer = try await endpoint.post(
                "/embeddings", body: body(for: batch), accept: "application/json")
            let bytes: [UInt8]
            do {
                bytes = try await answer.response.body.collect(upTo: Self.replyLimit)
            } catch {
                throw ModelError(transport: error, model: endpoint.model.name)
            }
            vectors.append(contentsOf: try read(bytes, count: batch.count))
            start += batch.count
        }
        return vectors
    }

    private func body(for texts: ArraySlice<String>) -> [UInt8] {
        var writer = JSONWriter(capacity: texts.reduce(256) { $0 + $1.utf8.count + 16 })
        writer.beginObject()
        writer.field("model", endpoint.model.model)
        writer.key("input")
        writer.beginArray()
        // Several servers refuse an empty text.
        for text in texts {
            writer.string(text.isEmpty ? " " : Sentences.bounded(text, bytes: Self.textLimit))
        }
        writer.endArray()
        writer.field("encoding_format", "float")
        for (name, value) in endpoint.model.parameters.sorted(by: { $0.key < $1.key })
        where !Self.reserved.contains(name) {
            writer.key(escaping: name)
            writer.value(value)
        }
        writer.endObject()
        return writer.bytes
    }

    /// The vectors by the indices that they carry; each must be there once.
    private func read(_ bytes: [UInt8], count: Int) throws(ModelError) -> [[Float]] {
        var vectors = [[Float]](repeating: [], count: count)
        do {
            var reader = JSONReader(bytes)
            try reader.beginObject()
            while let key = try reader.nextKey() {
                guard key == "data" else {
                    try reader.skipValue()
                    continue
                }
                try reader.beginArray()
                var position = 0
                while try reader.nextElement() {
                    let (index, vector) = try readVector(&reader, position: position)
                    guard vectors.indices.contains(index), vectors[index].isEmpty else {
                        throw malformed("an index that was not asked for: \(index)")
                    }
                    vectors[index] = vector
                    position += 1
                }
            }
            try reader.finish()
        } catch let error as ModelError {
            throw error
        } catch {
            throw malformed("\(error)")
        }
        for vector in vectors where vector.count != dimension {
            throw malformed(
                "vectors of length \(vector.count) where \(endpoint.field).dimensions says \(dimension)")
        }
        return try vectors.map { vector throws(ModelError) in try normalised(vector) }
    }

    private func readVector(
        _ reader: inout JSONReader, position: Int
    ) throws(JSONError) -> (index: Int, vector: [Float]) {
        var index = position
        var vector: [Float] = []
        vector.reserveCapacity(dimension)
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "index": index = try reader.readInt()
            case "embedding":
                try reader.beginArray()
                while try reader.nextElement() { vector.append(Float(try reader.readDouble())) }
            default: try reader.skipValue()
            }
        }
        return (index, vector)
    }

    private func normalised(_ vector: [Float]) throws(ModelError) -> [Float] {
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        guard length > 0, length.isFinite else { throw malformed("a vector without a length") }
        return vector.map { $0 / length }
    }

    private func malformed(_ what: String) -> ModelError {
        ModelError(
            .malformed,
            "The server of model \(endpoint.model.name) sent embeddings that can't be used: \(what).")
    }
}

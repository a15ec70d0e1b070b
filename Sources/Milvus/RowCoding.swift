/// Turns rows into the columns that Milvus takes and gives, and checks them against their bounds before they leave.
import MilvusProtocol

enum RowCoding {
    typealias Field = MemoryCollection.Field

    /// Names the first field over its bound; nil where the row fits. milvus-lite would take what Milvus refuses.
    static func fault(_ row: MilvusRow, in collection: MemoryCollection) -> String? {
        for field in Field.scalars {
            guard let bound = field.bytes(collection), let text = string(field, row) else { continue }
            if text.utf8.count > bound {
                return "a row's \(field.rawValue) has \(text.utf8.count) bytes, more than \(bound)"
            }
        }
        return fault(row.vector, in: collection)
    }

    static func fault(_ vector: [Float], in collection: MemoryCollection) -> String? {
        if vector.count != collection.dimension {
            return "a vector has \(vector.count) dimensions, the collection \(collection.dimension)"
        }
        return vector.allSatisfy(\.isFinite) ? nil : "a vector holds what is not a number"
    }

    /// Splits rows into messages of about `bytes` at most, with one row at least; of rows with one id the last remains.
    ///
    /// Milvus doesn't compare the rows of one message with each other: two with one id would stay two.
    static func batches(_ rows: [MilvusRow], bytes: Int, count: Int) -> [[MilvusRow]] {
        var last: [String: Int] = [:]
        for (index, row) in rows.enumerated() { last[row.id] = index }
        var batches: [[MilvusRow]] = []
        var size = 0
        for (index, row) in rows.enumerated() where last[row.id] == index {
            let rowSize = Self.size(row)
            if batches.isEmpty || size + rowSize > bytes || batches[batches.count - 1].count >= count {
                batches.append([])
                size = 0
            }
            batches[batches.count - 1].append(row)
            size += rowSize
        }
        return batches
    }

    private static func size(_ row: MilvusRow) -> Int {
        let strings = Field.scalars.reduce(0) { $0 + (string($1, row)?.utf8.count ?? 8) + 4 }
        return strings + row.vector.count * MemoryLayout<Float>.size
    }

    static func columns(_ rows: [MilvusRow], in collection: MemoryCollection) -> [Wire.FieldData] {
        var columns = Field.scalars.map { field in
            var column = Wire.FieldData()
            column.fieldName = field.rawValue
            column.type = field.type
            if field.type == .int64 {
                column.scalars.longData.data = rows.map { number(field, $0) }
            } else {
                column.scalars.stringData.data = rows.map { string(field, $0) ?? "" }
            }
            return column
        }
        var vectors = Wire.FieldData()
        vectors.fieldName = Field.vector.rawValue
        vectors.type = .floatVector
        vectors.vectors.dim = Int64(collection.dimension)
        vectors.vectors.floatVector.data = rows.flatMap(\.vector)
        columns.append(vectors)
        return columns
    }

    /// The rows that an answer's columns hold; nil where the columns don't fit together, which no Milvus would send.
    static func rows(_ columns: [Wire.FieldData], ids: [String]? = nil, dimension: Int) -> [MilvusRow]? {
        var strings: [String: [String]] = [:]
        var numbers: [String: [Int64]] = [:]
        var vectors: [Float]?
        for column in columns {
            switch column.field {
            case .scalars(let scalars)?:
                switch scalars.data {
                case .stringData(let values)?: strings[column.fieldName] = values.data
                case .longData(let values)?: numbers[column.fieldName] = values.data
                case nil: break
                }
            case .vectors(let values)?: vectors = values.floatVector.data
            case nil: break
            }
        }
        // A search names the keys apart; whether they are among the columns too differs between servers.
        if let ids { strings[Field.id.rawValue] = ids }
        let count = strings[Field.id.rawValue]?.count ?? 0
        guard count > 0 else { return [] }
        for field in Field.scalars {
            let found = field.type == .int64 ? numbers[field.rawValue]?.count : strings[field.rawValue]?.count
            if found != count { return nil }
        }
        if let vectors, vectors.count != count * dimension { return nil }
        func text(_ field: Field, _ index: Int) -> String { strings[field.rawValue]?[index] ?? "" }
        func number(_ field: Field, _ index: Int) -> Int64 { numbers[field.rawValue]?[index] ?? 0 }
        return (0..<count).map { index in
            MilvusRow(
                id: text(.id, index), pool: text(.pool, index), principal: text(.principal, index),
                session: text(.session, index), sessionName: text(.sessionName, index),
                generation: number(.generation, index),
                agent: text(.agent, index), firstTurn: number(.firstTurn, index),
                lastTurn: number(.lastTurn, index), time: number(.time, index),
                summary: text(.summary, index),
                entities: text(.entities, index), text: text(.text, index),
                vector: vectors.map { Array($0[index * dimension..<(index + 1) * dimension]) } ?? [])
        }
    }

    private static func string(_ field: Field, _ row: MilvusRow) -> String? {
        switch field {
        case .id: row.id
        case .pool: row.pool
        case .principal: row.principal
        case .session: row.session
        case .sessionName: row.sessionName
        case .agent: row.agent
        case .summary: row.summary
        case .entities: row.entities
        case .text: row.text
        case .generation, .firstTurn, .lastTurn, .time, .vector, .words: nil
        }
    }

    private static func number(_ field: Field, _ row: MilvusRow) -> Int64 {
        switch field {
        case .generation: row.generation
        case .firstTurn: row.firstTurn
        case .lastTurn: row.lastTurn
        case .time: row.time
        default: 0
        }
    }
}

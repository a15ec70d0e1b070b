/// Amounts in Kubernetes' notation: bytes ("512Mi") with their value, CPU ("700m") as text.

/// A number of bytes, encoded as it was given.
public struct ByteQuantity: Sendable, Hashable {
    /// The text as it was given.
    public let text: String
    public let bytes: Int

    /// The form that the manifest's schema asks for.
    static let pattern = "^[0-9]{1,15}(\\.[0-9]{1,3})?(Ki|Mi|Gi|Ti|k|M|G|T)?$"

    private static let units = [
        "": 1, "k": 1000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000,
        "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
    ]

    /// Nil where the text is not of the form `pattern` or exceeds what an `Int` holds. Fractions of a byte round up, as in Kubernetes.
    public init?(_ text: String) {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let unit = Self.units[String(text.dropFirst(number.count))] else { return nil }
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let whole = Int(parts[0]) else { return nil }
        var thousandths = 0
        if parts.count == 2 {
            guard (1...3).contains(parts[1].count), let fraction = Int(parts[1]) else { return nil }
            thousandths = (parts[1].count..<3).reduce(fraction) { value, _ in value * 10 }
        }
        let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
        let (sum, overflowed) = product.addingReportingOverflow((thousandths * unit + 999) / 1000)
        guard !overflow, !overflowed else { return nil }
        self.text = text
        self.bytes = sum
    }
}

extension ByteQuantity: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try QuantityText.decode(from: container)
        guard let value = ByteQuantity(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "is not a number of bytes such as 512Mi")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// An amount of CPU, which only Kubernetes computes with.
public struct CPUQuantity: Sendable, Hashable, Codable {
    /// The text as it was given.
    public let text: String

    /// The form that the manifest's schema asks for.
    static let pattern = "^[0-9]{1,6}(\\.[0-9]{1,3}|m)?$"

    public init(from decoder: any Decoder) throws {
        text = try QuantityText.decode(from: decoder.singleValueContainer())
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

private enum QuantityText {
    /// Kubernetes takes a quantity as a string or as a bare whole number.
    static func decode(from container: any SingleValueDecodingContainer) throws -> String {
        // A type mismatch only means that the value is a string, whose decoding reports its own error.
        if let number = try? container.decode(Int.self) { return String(number) }
        return try container.decode(String.self)
    }
}

/// A response as soon as its head has arrived; the body streams.
public struct HTTPResponse: Sendable {
    public let status: Int
    public let headers: HTTPHeaders
    public let body: HTTPBody
}

/// A response's header fields in the order in which they came; names compare without regard to case.
public struct HTTPHeaders: Sendable, Equatable, RandomAccessCollection {
    public struct Field: Sendable, Equatable {
        public let name: String
        public let value: String

        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    private var fields: [Field]

    public init(_ fields: [Field] = []) {
        self.fields = fields
    }

    public var startIndex: Int { fields.startIndex }
    public var endIndex: Int { fields.endIndex }
    public subscript(position: Int) -> Field { fields[position] }

    /// The first value under this name.
    public subscript(name: String) -> String? {
        fields.first { $0.isNamed(name) }?.value
    }

    /// Every value under this name.
    public func values(named name: String) -> [String] {
        fields.filter { $0.isNamed(name) }.map(\.value)
    }

    mutating func append(_ field: Field) {
        fields.append(field)
    }
}

extension HTTPHeaders.Field {
    fileprivate func isNamed(_ other: String) -> Bool {
        name.utf8.count == other.utf8.count
            && zip(name.utf8, other.utf8).allSatisfy {
                $0 == $1 || ($0 ^ $1 == 0x20 && ($0 | 0x20).isASCIILetter)
            }
    }
}

extension UInt8 {
    fileprivate var isASCIILetter: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) }
}

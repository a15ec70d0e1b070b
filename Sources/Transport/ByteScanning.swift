// Searches and copies on spans of bytes, without a detour through `Character` or `String`.

import Glibc

enum Byte {
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
}

extension Span<UInt8> {
    /// The first place of `byte` at or after `position`.
    func first(_ byte: UInt8, from position: Int) -> Int? {
        withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress, position < buffer.count else { return nil }
            guard let found = memchr(base + position, Int32(byte), buffer.count - position) else {
                return nil
            }
            return UnsafeRawPointer(found) - UnsafeRawPointer(base)
        }
    }

    func contains(_ byte: UInt8, in range: Range<Int>) -> Bool {
        guard let found = extracting(range).first(byte, from: 0) else { return false }
        return found < range.count
    }

    func starts(with text: StaticString, in range: Range<Int>) -> Bool {
        guard range.count >= text.utf8CodeUnitCount else { return false }
        return withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return text.utf8CodeUnitCount == 0 }
            return memcmp(base + range.lowerBound, text.utf8Start, text.utf8CodeUnitCount) == 0
        }
    }

    func text(in range: Range<Int>) -> String {
        extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    /// The number that the range spells in ASCII digits only; nil for anything else, and for one over `Int.max`.
    func decimal(in range: Range<Int>) -> Int? {
        guard !range.isEmpty else { return nil }
        var value = 0
        for index in range {
            let digit = self[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (tens, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, more) = tens.addingReportingOverflow(Int(digit))
            guard !over, !more else { return nil }
            value = sum
        }
        return value
    }
}

extension [UInt8] {
    init(copying bytes: Span<UInt8>) {
        self = bytes.withUnsafeBufferPointer { Array($0) }
    }

    mutating func append(copying bytes: Span<UInt8>) {
        bytes.withUnsafeBufferPointer { append(contentsOf: $0) }
    }
}

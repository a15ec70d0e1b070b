// Finds parts of a JSON text without decoding it: a list's items, a watch event's object, one string of either.

import Foundation

/// A JSON value as the bytes that it was written in.
///
/// Reading walks over the bytes and checks no more of the form than it needs; what comes out is decoded, and so
/// checked, by whoever wants it. Shares the storage of the text that it was cut from.
public struct JSONSlice: Sendable {
    public let bytes: ArraySlice<UInt8>

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes[...]
    }

    private init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
    }

    /// The member of this object; nil where this is no object or has no such member. Names with escapes are not found.
    public subscript(name: String) -> JSONSlice? {
        var found: Range<Int>?
        walk(UInt8(ascii: "{")) { key, value in
            guard bytes[key].elementsEqual(name.utf8) else { return true }
            found = value
            return false
        }
        return found.map { JSONSlice(bytes[$0]) }
    }

    /// The members of this object in their order; empty where this is no object.
    public var members: [(name: String, value: JSONSlice)] {
        var all: [(Range<Int>, Range<Int>)] = []
        walk(UInt8(ascii: "{")) { key, value in
            all.append((key, value))
            return true
        }
        return all.map { key, value in
            (String(decoding: bytes[key], as: UTF8.self), JSONSlice(bytes[value]))
        }
    }

    /// The elements of this array; empty where this is no array.
    public var elements: [JSONSlice] {
        var all: [Range<Int>] = []
        walk(UInt8(ascii: "[")) { _, value in
            all.append(value)
            return true
        }
        return all.map { JSONSlice(bytes[$0]) }
    }

    /// This integer; nil where this is none, or one that is too large.
    public var integer: Int? { Int(String(decoding: bytes, as: UTF8.self)) }

    /// The text of this string; nil where this is no string, or one that isn't well-formed.
    public var string: String? {
        guard bytes.count >= 2, bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"") else {
            return nil
        }
        let inner = bytes.dropFirst().dropLast()
        if !inner.contains(UInt8(ascii: "\\")) { return String(validating: inner, as: UTF8.self) }
        // A string that is not well-formed has no text; why it isn't helps nobody.
        return try? JSONDecoder().decode(String.self, from: Data(bytes))
    }

    public var isTrue: Bool { bytes.elementsEqual("true".utf8) }
    public var isNull: Bool { bytes.elementsEqual("null".utf8) }

    public func decoded<Value: Decodable>(
        as type: Value.Type, by decoder: JSONDecoder = JSONDecoder()
    ) throws -> Value {
        try decoder.decode(type, from: Data(bytes))
    }
}

extension JSONSlice {
    /// Calls `body` with each member of this object that isn't null, its name as it is written; with none where this is
    /// no object.
    func forEachMember(
        _ body: (_ name: ArraySlice<UInt8>, _ value: JSONSlice) throws -> Void
    ) rethrows {
        try walk(UInt8(ascii: "{")) { key, value in
            let slice = JSONSlice(bytes[value])
            if !slice.isNull { try body(bytes[key], slice) }
            return true
        }
    }

    /// The text of a member's name, which is one of this object's bytes.
    func text(ofName name: ArraySlice<UInt8>) -> String? {
        JSONSlice(bytes[name.startIndex - 1..<name.endIndex + 1]).string
    }

    /// Calls `body` with the places of each member's name, empty in an array, and value, until it returns false or
    /// the text isn't JSON.
    private func walk(_ opening: UInt8, _ body: (_ key: Range<Int>, _ value: Range<Int>) throws -> Bool)
        rethrows
    {
        let start = bytes.startIndex
        try bytes.withUnsafeBufferPointer { text in
            var scanner = JSONScanner(text)
            guard scanner.take(opening) else { return }
            repeat {
                var key = start..<start
                if opening == UInt8(ascii: "{") {
                    guard let quoted = scanner.value(), quoted.count >= 2, scanner.take(UInt8(ascii: ":"))
                    else {
                        return
                    }
                    key = start + quoted.lowerBound + 1..<start + quoted.upperBound - 1
                }
                guard let value = scanner.value(),
                    try body(key, start + value.lowerBound..<start + value.upperBound)
                else { return }
            } while scanner.take(UInt8(ascii: ","))
        }
    }
}

/// A place in a JSON text that only goes forward.
private struct JSONScanner {
    private let text: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(_ text: UnsafeBufferPointer<UInt8>) {
        self.text = text
    }

    /// Takes this character, if it is the next after white space.
    mutating func take(_ character: UInt8) -> Bool {
        skipSpace()
        guard position < text.count, text[position] == character else { return false }
        position += 1
        return true
    }

    /// The place of the next value; nil at the end of the text or of what encloses the value.
    mutating func value() -> Range<Int>? {
        skipSpace()
        let start = position
        var depth = 0
        while position < text.count {
            let byte = text[position]
            switch byte {
            case UInt8(ascii: "\""):
                guard skipString() else { return nil }
                if depth == 0 { return start..<position }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return position > start ? start..<position : nil }
                depth -= 1
                if depth == 0 {
                    position += 1
                    return start..<position
                }
            case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: " "), UInt8(ascii: "\n"),
                UInt8(ascii: "\r"), UInt8(ascii: "\t"):
                if depth == 0 { return position > start ? start..<position : nil }
            default: break
            }
            position += 1
        }
        return depth == 0 && position > start ? start..<position : nil
    }

    /// Goes from a string's first quote to behind its last. Most of a text is in strings, so they are searched, not
    /// walked through.
    private mutating func skipString() -> Bool {
        guard let base = text.baseAddress else { return false }
        let first = position
        position += 1
        while position < text.count,
            let found = memchr(base + position, Int32(UInt8(ascii: "\"")), text.count - position)
        {
            let quote = UnsafeRawPointer(found) - UnsafeRawPointer(base)
            position = quote + 1
            var before = quote - 1
            while before > first, base[before] == UInt8(ascii: "\\") { before -= 1 }
            if (quote - 1 - before).isMultiple(of: 2) { return true }
        }
        return false
    }

    private mutating func skipSpace() {
        while position < text.count {
            switch text[position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
            default: return
            }
        }
    }
}

/// A number as it stands in a JSON text: checked against the grammar once, converted only as its reader asks.
struct JSONNumber {
    /// Where the number stands.
    let range: Range<Int>
    /// Its digits without sign and point, where 64 bits hold them.
    private let digits: UInt64?
    private let isNegative: Bool
    /// Power of ten that `digits` are multiplied by.
    private let exponent: Int
    /// Written without fraction and exponent.
    private let isInteger: Bool

    /// Nil where no number of JSON's grammar starts at `start`.
    init?(scanning bytes: [UInt8], from start: Int) {
        var position = start
        var digits: UInt64? = 0
        var exponent = 0

        func digit() -> UInt8? {
            guard position < bytes.count else { return nil }
            let value = bytes[position] &- UInt8(ascii: "0")
            return value < 10 ? value : nil
        }
        func add(_ digit: UInt8) {
            if let value = digits {
                digits = value <= (UInt64.max - 9) / 10 ? value * 10 + UInt64(digit) : nil
            }
            position += 1
        }

        let isNegative = position < bytes.count && bytes[position] == UInt8(ascii: "-")
        if isNegative { position += 1 }
        guard let first = digit() else { return nil }
        add(first)
        if first == 0 {
            if digit() != nil { return nil }
        } else {
            while let next = digit() { add(next) }
        }
        var isInteger = true
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            let fraction = position
            while let next = digit() { add(next) }
            if position == fraction { return nil }
            exponent = fraction - position
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            var sign = 1
            if position < bytes.count,
                bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-")
            {
                sign = bytes[position] == UInt8(ascii: "-") ? -1 : 1
                position += 1
            }
            guard digit() != nil else { return nil }
            var written = 0
            while let next = digit() {
                // A longer exponent than this is beyond every double whatever the digits.
                written = min(written * 10 + Int(next), 100_000)
                position += 1
            }
            exponent += sign * written
        }
        self.range = start..<position
        self.digits = digits
        self.isNegative = isNegative
        self.exponent = exponent
        self.isInteger = isInteger
    }

    /// The value, where it is whole and fits.
    func integer(in bytes: [UInt8]) -> Int? {
        guard isInteger else { return double(in: bytes).flatMap { Int(exactly: $0) } }
        guard let digits else { return nil }
        return isNegative ? Int(exactly: -Int128(digits)) : Int(exactly: digits)
    }

    /// The nearest double; nil where none is near.
    func double(in bytes: [UInt8]) -> Double? {
        // Digits and power are both exact doubles here, so one rounding gives the nearest (Clinger's fast
        // path).
        if let digits, digits <= 1 << 53, abs(exponent) < Self.powersOfTen.count {
            let magnitude = Double(digits)
            let scaled =
                exponent < 0
                ? magnitude / Self.powersOfTen[-exponent] : magnitude * Self.powersOfTen[exponent]
            return isNegative ? -scaled : scaled
        }
        guard let value = Double(String(decoding: bytes[range], as: UTF8.self)), value.isFinite else {
            return nil
        }
        return value
    }

    private static let powersOfTen: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
        1e18,
        1e19, 1e20, 1e21, 1e22,
    ]
}

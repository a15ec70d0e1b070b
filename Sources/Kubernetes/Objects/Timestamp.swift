/// A moment in UTC as the API writes it: RFC 3339 with seconds, or with microseconds in leases and events.

public struct Timestamp: Sendable, Hashable, Comparable {
    /// Since 1970-01-01T00:00:00Z.
    public var microseconds: Int64

    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    public init(seconds: Int64) {
        microseconds = seconds &* 1_000_000
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    /// Nil where the text is not of the form `2006-01-02T15:04:05Z`, with a fraction or an offset instead of `Z`.
    public init?(_ text: String) {
        let parsed = text.utf8.withContiguousStorageIfAvailable { Self.parse($0) }
        guard let microseconds = parsed ?? Array(text.utf8).withUnsafeBufferPointer({ Self.parse($0) }) else {
            return nil
        }
        self.microseconds = microseconds
    }

    /// `2006-01-02T15:04:05Z`; what is under a second is cut off.
    public var inSeconds: String { String(formatted.prefix(19)) + "Z" }

    /// `2006-01-02T15:04:05.000000Z`, the API's `MicroTime`.
    public var inMicroseconds: String { formatted + "Z" }
}

extension Timestamp: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Timestamp(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not a moment in RFC 3339")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(inMicroseconds)
    }
}

extension Timestamp {
    private static func parse(_ text: UnsafeBufferPointer<UInt8>) -> Int64? {
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for index in range {
                guard index < text.count, let digit = text[index].digit else { return nil }
                value = value * 10 + digit
            }
            return value
        }
        func isAt(_ index: Int, _ character: Unicode.Scalar) -> Bool {
            index < text.count && text[index] == UInt8(ascii: character)
        }
        guard let year = number(0..<4), isAt(4, "-"), let month = number(5..<7), isAt(7, "-"),
            let day = number(8..<10), isAt(10, "T") || isAt(10, "t"), let hour = number(11..<13),
            isAt(13, ":"), let minute = number(14..<16), isAt(16, ":"), let second = number(17..<19),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
        else { return nil }
        var index = 19
        var fraction: Int64 = 0
        if isAt(index, ".") {
            index += 1
            var unit: Int64 = 100_000
            while index < text.count, let digit = text[index].digit {
                fraction += digit * unit
                unit /= 10
                index += 1
            }
        }
        var offset: Int64 = 0
        if isAt(index, "+") || isAt(index, "-") {
            guard let hours = number(index + 1..<index + 3), isAt(index + 3, ":"),
                let minutes = number(index + 4..<index + 6)
            else { return nil }
            offset = (hours * 60 + minutes) * (isAt(index, "-") ? -60 : 60)
            index += 6
        } else if isAt(index, "Z") || isAt(index, "z") {
            index += 1
        } else {
            return nil
        }
        guard index == text.count else { return nil }
        let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
        return seconds * 1_000_000 + fraction
    }

    private var formatted: String {
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let (seconds, fraction) = microseconds.dividedRoundingDown(by: 1_000_000)
        let (days, second) = seconds.dividedRoundingDown(by: 86_400)
        let (year, month, day) = Self.date(days)
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(second / 3_600, 2)):"
            + "\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2)).\(padded(fraction, 6))"
    }

    // A year that begins in March has its leap day at its end; 400 years have 146,097 days, and 719,468 lie
    // between 0000-03-01 and 1970-01-01.

    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = year.dividedRoundingDown(by: 400)
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = era.remainder * 365 + era.remainder / 4 - era.remainder / 100 + dayOfYear
        return era.quotient * 146_097 + dayOfEra - 719_468
    }

    private static func date(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let era = (days + 719_468).dividedRoundingDown(by: 146_097)
        let dayOfEra = era.remainder
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (
            yearOfEra + era.quotient * 400 + (month <= 2 ? 1 : 0), month,
            dayOfYear - (153 * shifted + 2) / 5 + 1
        )
    }
}

extension Int64 {
    fileprivate func dividedRoundingDown(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

extension UInt8 {
    fileprivate var digit: Int64? {
        self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") ? Int64(self - UInt8(ascii: "0")) : nil
    }
}

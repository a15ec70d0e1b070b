/// UTF-8 read scalar by scalar, at places counted in bytes.
struct ScalarText {
    /// Valid, and alive as long as this is.
    let bytes: UnsafeBufferPointer<UInt8>

    var count: Int { bytes.count }

    /// Where the scalar begins that ends at the place.
    func place(before place: Int) -> Int {
        var start = place - 1
        while bytes[start] & 0xC0 == 0x80 { start -= 1 }
        return start
    }

    func holds(_ assertion: PatternAssertion, at place: Int) -> Bool {
        var before: Unicode.Scalar?
        if place > 0 {
            before = Unicode.Scalar(scalar(at: self.place(before: place)).value)
        }
        guard place < count else {
            return assertion.holds(before: before, after: nil, isAfterLast: false)
        }
        let (after, end) = scalar(at: place)
        return assertion.holds(
            before: before, after: Unicode.Scalar(after), isAfterLast: end == count)
    }

    func scalar(at place: Int) -> (value: UInt32, end: Int) {
        let lead = UInt32(bytes[place])
        func trail(_ offset: Int) -> UInt32 { UInt32(bytes[place + offset] & 0x3F) }
        switch lead {
        case ..<0x80: return (lead, place + 1)
        case ..<0xE0: return ((lead & 0x1F) << 6 | trail(1), place + 2)
        case ..<0xF0: return ((lead & 0x0F) << 12 | trail(1) << 6 | trail(2), place + 3)
        default: return ((lead & 0x07) << 18 | trail(1) << 12 | trail(2) << 6 | trail(3), place + 4)
        }
    }
}

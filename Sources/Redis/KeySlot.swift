/// Decides which of a cluster's 16384 slots a key belongs to.
enum KeySlot {
    static let count = 16384

    /// CRC16 of the key, or of its hash tag: what stands between the first `{` and the next `}`, unless that is nothing.
    static func of(_ key: [UInt8]) -> Int {
        Int(crc16(tag(key))) % count
    }

    /// The only slot of these keys; nil where there is more than one slot. Of no keys it is any slot, here 0.
    static func common(_ keys: [RedisArgument]) -> Int? {
        guard let first = keys.first else { return 0 }
        let slot = of(first.bytes)
        return keys.dropFirst().allSatisfy { of($0.bytes) == slot } ? slot : nil
    }

    private static func tag(_ key: [UInt8]) -> ArraySlice<UInt8> {
        guard let open = key.firstIndex(of: UInt8(ascii: "{")) else { return key[...] }
        let rest = key[(open + 1)...]
        guard let close = rest.firstIndex(of: UInt8(ascii: "}")), close > rest.startIndex else {
            return key[...]
        }
        return rest[..<close]
    }

    /// CRC-16/XMODEM: polynomial 1021, from 0, not reflected.
    static func crc16(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        var crc: UInt16 = 0
        for byte in bytes { crc = crc << 8 ^ table[Int(UInt8(crc >> 8) ^ byte)] }
        return crc
    }

    private static let table: [UInt16] = (0..<256).map { index in
        var crc = UInt16(index) << 8
        for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
        return crc
    }
}

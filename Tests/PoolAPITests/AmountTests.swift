// Durations, bytes and JSON values as texts.
import Foundation
import Testing

@testable import PoolAPI

@Suite struct AmountTests {
    @Test(
        "A duration is the sum of its parts",
        arguments: [
            ("80ms", Duration.milliseconds(80)), ("15m", .seconds(900)), ("1h30m", .seconds(5400)),
            ("0s", .zero),
            ("168h", .seconds(604_800)), ("999999999h", .seconds(999_999_999 * 3600)),
        ])
    func durations(text: String, duration: Duration) throws {
        let value = try #require(DurationText(text))
        #expect(value.duration == duration && value.text == text)
        #expect(Schema.Pattern.duration.matches(text))
    }

    @Test(
        "What the pattern of a duration refuses, its reader refuses",
        arguments: ["", "15", "m", "3 days", "1d", "-1s", "1.5h", "15M", "1s ", "1000000000s", "1µs", "1s1"])
    func notDurations(text: String) {
        #expect(DurationText(text) == nil)
        #expect(!Schema.Pattern.duration.matches(text))
    }

    @Test("A duration is bounded in length, as it is in the cluster")
    func longDuration() {
        #expect(DurationText(String(repeating: "1s", count: 16)) != nil)
        #expect(DurationText(String(repeating: "1s", count: 17)) == nil)
    }

    @Test(
        "Bytes follow Kubernetes' notation and round up",
        arguments: [
            ("512Mi", 512 << 20), ("1.5Gi", 3 << 29), ("1k", 1000), ("536870912", 536_870_912), ("0.001", 1),
            ("2T", 2_000_000_000_000), ("1.5", 2),
        ])
    func bytes(text: String, bytes: Int) throws {
        let value = try #require(ByteQuantity(text))
        #expect(value.bytes == bytes && value.text == text)
        #expect(Schema.Pattern.bytes.matches(text))
    }

    @Test(
        "What is not a number of bytes is refused",
        arguments: ["", "Mi", "1 Gi", "-1", "1.", ".5Gi", "1.2345Gi", "1e3", "1KiB", "٣", "1.2.3"])
    func notBytes(text: String) {
        #expect(ByteQuantity(text) == nil)
        #expect(!Schema.Pattern.bytes.matches(text))
    }

    @Test("A number of bytes beyond what an Int holds is refused")
    func tooManyBytes() {
        #expect(ByteQuantity("999999999999999Ti") == nil)
    }

    @Test("Limits are shown in the notation of the manifest")
    func texts() {
        #expect(
            [Duration.seconds(0), .milliseconds(1), .seconds(90), .seconds(60), .seconds(7200)].map(\.text)
                == ["0s", "1ms", "90s", "1m", "2h"])
        #expect(
            [0, 1, 1 << 10, 3 << 20, 1 << 42].map(ByteQuantity.text(of:)) == ["0", "1", "1Ki", "3Mi", "4Ti"])
    }

    @Test("Amounts encode as they were given, and a bare number decodes as an amount")
    func coding() throws {
        let amounts = try JSONDecoder().decode([ByteQuantity].self, from: Data(#"["1.5Gi", 1024]"#.utf8))
        #expect(amounts.map(\.bytes) == [3 << 29, 1024])
        #expect(String(decoding: try JSONEncoder().encode(amounts), as: UTF8.self) == #"["1.5Gi","1024"]"#)
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([DurationText].self, from: Data(#"["soon"]"#.utf8))
        }
    }

    @Test("A JSON value comes back from JSON as it was")
    func jsonValue() throws {
        let value: JSONValue = ["a": [1, 1.5, true, .null, "x"], "b": [:], "c": .integer(.max)]
        #expect(try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(value)) == value)
    }
}

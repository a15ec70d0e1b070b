/// Measures the Redis client by itself: SET and GET of small values in pipelines, many callers at a time; prints commands a second.
///
/// usage: redis-throughput PORT CALLERS COMMANDS VALUE_BYTES PIPELINE
import Logging
import NIOPosix
import Redis

struct Load: Sendable {
    let callers: Int
    let commands: Int
    let valueBytes: Int
    let pipeline: Int
    /// As redis-benchmark's `-r`: keys are drawn from so many.
    let keys = 100_000

    /// Reads the command line; nil where it is none.
    init?(_ arguments: some Collection<String>) {
        let numbers = arguments.compactMap { Int($0) }
        guard numbers.count == 4, numbers.allSatisfy({ $0 > 0 }) else { return nil }
        (callers, commands, valueBytes, pipeline) = (numbers[0], numbers[1], numbers[2], numbers[3])
    }

    /// All keys, made beforehand: what is measured is the client, not the making of text.
    func allKeys() -> [RedisArgument] {
        (0..<keys).map { number in
            let digits = String(number)
            return RedisArgument("key:" + String(repeating: "0", count: 12 - digits.count) + digits)
        }
    }
}

/// Draws numbers as cheaply as `rand` in redis-benchmark; the system's generator is a call of the kernel for each.
struct LinearCongruentialGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        // Knuth's multiplier. The low bits have short periods, and the high ones are what is used.
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state
    }
}

enum Command: String, CaseIterable {
    case set = "SET"
    case get = "GET"

    func made(_ key: RedisArgument, _ value: RedisArgument) -> RedisCommand {
        switch self {
        case .set: RedisCommand(rawValue, [key, value], key: key, isIdempotent: true)
        case .get: RedisCommand(rawValue, [key], key: key, isIdempotent: true)
        }
    }
}

/// Commands a second.
func throughput(of command: Command, _ client: RedisClient, _ load: Load) async throws -> Double {
    let clock = ContinuousClock()
    let value = RedisArgument([UInt8](repeating: 120, count: load.valueBytes))
    let keys = load.allKeys()
    let rounds = max(1, load.commands / load.callers / load.pipeline)
    let begun = clock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
        for caller in 0..<load.callers {
            group.addTask {
                var generator = LinearCongruentialGenerator(seed: UInt64(caller))
                for _ in 0..<rounds {
                    let commands = (0..<load.pipeline).map { _ in
                        command.made(keys[.random(in: 0..<keys.count, using: &generator)], value)
                    }
                    for result in await client.send(commands) { _ = try result.get() }
                }
            }
        }
        try await group.waitForAll()
    }
    let seconds = (clock.now - begun) / .seconds(1)
    return Double(rounds * load.callers * load.pipeline) / seconds
}

guard let port = CommandLine.arguments.dropFirst().first.flatMap({ Int($0) }),
    let load = Load(CommandLine.arguments.dropFirst(2))
else { fatalError("usage: redis-throughput PORT CALLERS COMMANDS VALUE_BYTES PIPELINE") }

let configuration = RedisConfiguration(
    mode: .standalone, addresses: [RedisAddress(host: "127.0.0.1", port: port)])
let client = RedisClient(
    configuration, group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "redis-throughput"))
try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { await client.run() }
    for command in Command.allCases {
        let rate = try await throughput(of: command, client, load)
        print("\(command.rawValue) \(Int(rate))")
    }
    await client.close()
}

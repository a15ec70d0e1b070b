// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
]
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

func tests(_ target: String, _ dependencies: [Target.Dependency], data: [String] = []) -> Target {
    .testTarget(
        name: target + "Tests", dependencies: [.target(name: target)] + dependencies, exclude: data,
        swiftSettings: strict)
}

let package = Package(
    name: "agentpool",
    products: [
        .executable(name: "agentpool", targets: ["agentpool"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    ],
    targets: [
        .systemLibrary(name: "CCurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(
            name: "PoolAPI", dependencies: [.product(name: "Yams", package: "Yams")], swiftSettings: strict),
        .target(name: "Transport", dependencies: ["CCurl", logging], swiftSettings: strict),
        .systemLibrary(name: "CProcess"),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .target(
            name: "Redis",
            dependencies: [
                "CHiredis", logging,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Crypto", package: "swift-crypto"),
            ], swiftSettings: strict),
        // Made by protoc from Sources/Milvus/Protocol; warnings in it are not ours to mend.
        .target(
            name: "MilvusProtocol",
            dependencies: [.product(name: "SwiftProtobuf", package: "swift-protobuf")],
            path: "Sources/Milvus/Generated"),
        .target(
            name: "Milvus",
            dependencies: [
                "MilvusProtocol", logging,
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ], exclude: ["Protocol", "Generated"], swiftSettings: strict),
        .target(
            name: "Memory",
            dependencies: [
                "Redis", "Milvus", logging,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Crypto", package: "swift-crypto"),
            ], swiftSettings: strict),
        .target(
            name: "Agent", dependencies: ["CProcess", "PoolAPI", "Transport", "Memory", logging],
            swiftSettings: strict),
        .target(
            name: "Worker",
            dependencies: [
                "PoolAPI", "Agent", "Memory", "Transport", logging,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Crypto", package: "swift-crypto"),
            ] + nio, swiftSettings: strict),
        .target(
            name: "Kubernetes",
            dependencies: [
                "Transport", logging, .product(name: "Yams", package: "Yams"),
            ], swiftSettings: strict),
        .target(
            name: "Controller",
            dependencies: [
                "PoolAPI", "Kubernetes", "Transport", logging,
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ] + nio, swiftSettings: strict),
        .executableTarget(
            name: "agentpool",
            dependencies: [
                "PoolAPI", "Worker", "Controller", "Kubernetes", "Agent", "Memory", "Transport", logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .target(
            name: "TestSupport",
            dependencies: [
                "Memory", "PoolAPI", "Transport", "Worker", logging,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], path: "Tests/TestSupport", swiftSettings: strict),
        .target(name: "Subprocesses", path: "Tests/Subprocesses", swiftSettings: strict),
        // A stand-in for a cluster's API server; apart from TestSupport, which needs the whole worker.
        .target(
            name: "ClusterSupport",
            dependencies: ["PoolAPI", logging, .product(name: "Yams", package: "Yams")] + nio,
            path: "Tests/ClusterSupport", swiftSettings: strict),
        .executableTarget(
            name: "agentpool-api-stand-in",
            dependencies: [
                "ClusterSupport", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Tests/APIStandIn", swiftSettings: strict),
        .executableTarget(
            name: "agentpool-early-ack",
            dependencies: [
                "TestSupport", "Worker", "PoolAPI", "Memory", logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], path: "Tests/EarlyAck",
            swiftSettings: strict),
        // Measures the Redis client beside redis-benchmark; `Benchmarks/run memory redis` builds it.
        .executableTarget(
            name: "redis-throughput",
            dependencies: ["Redis", logging, .product(name: "NIOPosix", package: "swift-nio")],
            path: "Benchmarks/RedisThroughput", swiftSettings: strict),
        tests("PoolAPI", [], data: ["Corpus"]),
        tests("Transport", ["CCurl", "Subprocesses", logging], data: ["Corpus", "Fixtures"]),
        tests("Redis", ["Subprocesses", logging] + nio),
        tests(
            "Milvus",
            [
                "MilvusProtocol", "Subprocesses", logging,
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ], data: ["Servers"]),
        tests("Memory", [logging, "TestSupport", .product(name: "GRDB", package: "GRDB.swift")]),
        tests(
            "Agent", ["PoolAPI", "Transport", "Memory", "Subprocesses", logging],
            data: ["Corpus", "Fixtures", "MCP/Fixtures"]),
        tests(
            "Worker",
            [
                "Agent", "Memory", "Transport", "TestSupport",
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ] + nio),
        tests("Kubernetes", ["PoolAPI", "Transport", "ClusterSupport", logging] + nio),
        tests("Controller", ["PoolAPI", "Kubernetes", "ClusterSupport", logging]),
        .testTarget(
            name: "OperatorTests",
            dependencies: ["Controller", "Kubernetes", "PoolAPI", "Transport", "ClusterSupport", logging],
            swiftSettings: strict),
        .testTarget(name: "HouseTests", swiftSettings: strict),
    ]
)

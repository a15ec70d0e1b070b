/// Starts the Redis servers of the tests, each set once in a test process, on free loopback ports with data in a temporary
/// folder. A small shell beside each server watches the test process and kills the server when it is gone, however it went.
import Foundation
import Logging
import NIOPosix
import Subprocesses

@testable import Redis

actor RedisServers {
    static let shared = RedisServers()

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    struct Secured: Sendable {
        var server: Server
        var ca: String
        var otherCA: String
        var certificate: String
        var key: String
        static let user = "agent"
        static let password = "pass word\r\n{1}"
    }

    struct Server: Sendable {
        var address: RedisAddress
        var arguments: [String]
        var folder: String
        /// The server's own, not its watcher's.
        var pid: Int32
    }

    private let folder =
        NSTemporaryDirectory() + "redis-tests-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
    private var single: Task<Server, any Error>?
    private var secure: Task<Secured, any Error>?
    private var nodes: Task<[Server], any Error>?

    func standalone() async throws -> Server {
        let task =
            single
            ?? Task {
                try await self.start("single", ["--enable-debug-command", "yes", "--appendonly", "yes"])
            }
        single = task
        return try await task.value
    }

    func secured() async throws -> Secured {
        let task = secure ?? Task { try await self.startSecured() }
        secure = task
        return try await task.value
    }

    /// Six nodes: three masters with a replica each.
    func cluster() async throws -> [Server] {
        let task = nodes ?? Task { try await self.startCluster() }
        nodes = task
        return try await task.value
    }

    /// A server of a test's own.
    func start(_ name: String, _ options: [String], readyBy: [String] = []) async throws -> Server {
        let port = try FreePort.take()
        return try await start(name, port: port, ["--port", "\(port)"] + options, readyBy)
    }

    /// Starts a server that was killed once more, with its data.
    func restart(_ server: Server, readyBy: [String] = []) async throws -> Server {
        try await launch(server, readyBy)
    }

    private func start(
        _ name: String, port: Int, _ options: [String], _ readyBy: [String]
    ) async throws -> Server {
        let home = folder + "/\(name)-\(port)"
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        let arguments =
            ["--bind", "127.0.0.1", "--dir", home, "--save", "", "--loglevel", "warning"] + options
        return try await launch(
            Server(
                address: RedisAddress(host: "127.0.0.1", port: port), arguments: arguments, folder: home,
                pid: 0),
            readyBy)
    }

    private func launch(_ server: Server, _ readyBy: [String]) async throws -> Server {
        let watch = """
            root=$1; home=$2; parent=$3; shift 3
            redis-server "$@" >"$home/log" 2>&1 &
            child=$!
            echo $child >"$home/pid.new"; mv "$home/pid.new" "$home/pid"
            while kill -0 $parent 2>/dev/null && kill -0 $child 2>/dev/null; do sleep 0.3; done
            if ! kill -0 $parent 2>/dev/null; then kill -9 $child 2>/dev/null; rm -rf "$root"; fi
            """
        // Throws at the first start, when there is none.
        try? FileManager.default.removeItem(atPath: server.folder + "/pid")
        // Whoever waits for the end of the test process's output must not wait for the watcher.
        try Subprocess.detached(
            ["sh", "-c", watch, "sh", folder, server.folder, "\(getpid())"] + server.arguments)
        for _ in 0..<200 {
            let answer = try await Self.cli(server.address.port, readyBy + ["PING"])
            if answer.contains("PONG") || answer.contains("NOAUTH") {
                let text = try String(contentsOfFile: server.folder + "/pid", encoding: .utf8)
                var started = server
                started.pid = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
                return started
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Failure(description: "redis-server on port \(server.address.port) doesn't answer")
    }

    private func startSecured() async throws -> Secured {
        let home = folder + "/certificates"
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        let script = """
            set -e; cd "$1"
            for ca in ca other; do
              openssl req -x509 -newkey rsa:2048 -nodes -keyout $ca.key -out $ca.pem -days 2 -subj "/CN=$ca"
            done
            for name in server client; do
              openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj "/CN=$name"
              printf 'subjectAltName=DNS:redis.test' >$name.ext
              openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem
            done
            """
        let made = try await Self.run("/bin/sh", ["-c", script, "sh", home])
        guard made.status == 0 else { throw Failure(description: "openssl failed: \(made.output)") }
        let port = try FreePort.take()
        let tls = [
            "--tls", "--cacert", home + "/ca.pem", "--cert", home + "/client.pem", "--key",
            home + "/client.key",
        ]
        let server = try await start(
            "secure", port: port,
            [
                "--port", "0", "--tls-port", "\(port)", "--tls-cert-file", home + "/server.pem",
                "--tls-key-file",
                home + "/server.key", "--tls-ca-cert-file", home + "/ca.pem", "--tls-auth-clients", "yes",
                "--user", "default", "off", "--user", "agent", "on", "nopass", "~*", "&*", "+@all",
            ], tls)
        // A password with a line break can't stand in a configuration file.
        let tlsOfClient = RedisTLS(
            caFile: home + "/ca.pem", certificateFile: home + "/client.pem", keyFile: home + "/client.key",
            serverName: "redis.test")
        _ = try await withClient(
            .standalone, [server.address],
            {
                $0.tls = tlsOfClient
                $0.credentials = { RedisCredentials(user: Secured.user, password: "any") }
            }
        ) { client in
            try await client.plain(
                "ACL", "SETUSER", "agent", "resetpass", RedisArgument(">" + Secured.password))
        }
        return Secured(
            server: server, ca: home + "/ca.pem", otherCA: home + "/other.pem",
            certificate: home + "/client.pem",
            key: home + "/client.key")
    }

    private func startCluster() async throws -> [Server] {
        var servers: [Server] = []
        for _ in 0..<6 {
            let (port, bus) = (try FreePort.take(), try FreePort.take())
            servers.append(
                try await start(
                    "node", port: port,
                    [
                        "--port", "\(port)", "--cluster-enabled", "yes", "--cluster-port", "\(bus)",
                        "--cluster-node-timeout", "2000", "--appendonly", "yes", "--enable-debug-command",
                        "yes",
                        "--repl-diskless-sync-delay", "0",
                    ], []))
        }
        let created = try await Self.run(
            "/usr/bin/redis-cli",
            ["--cluster", "create"] + servers.map { "\($0.address)" } + [
                "--cluster-replicas", "1", "--cluster-yes",
            ])
        guard created.status == 0 else {
            throw Failure(description: "no cluster: \(created.output.suffix(300))")
        }
        for _ in 0..<200 {
            var ready = true
            for server in servers {
                let info = try await Self.cli(server.address.port, ["CLUSTER", "INFO"])
                let role = try await Self.cli(server.address.port, ["INFO", "replication"])
                ready =
                    ready && info.contains("cluster_state:ok") && !role.contains("master_link_status:down")
                    && (role.contains("role:slave") || role.contains("state=online"))
            }
            if ready { return servers }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw Failure(description: "the cluster doesn't come up")
    }

    // MARK: Commands

    /// What redis-cli prints.
    static func cli(_ port: Int, _ arguments: [String]) async throws -> String {
        try await run("/usr/bin/redis-cli", ["-h", "127.0.0.1", "-p", "\(port)"] + arguments).output
    }

    static func run(_ path: String, _ arguments: [String]) async throws -> (status: Int, output: String) {
        try await Subprocess.run([path] + arguments)
    }
}

/// Runs `body` with a client that is running, and closes it.
func withClient<Value: Sendable>(
    _ mode: RedisConfiguration.Mode, _ addresses: [RedisAddress],
    _ change: (inout RedisConfiguration) -> Void = { _ in },
    _ body: @Sendable (RedisClient) async throws -> Value
) async throws -> Value {
    var configuration = RedisConfiguration(mode: mode, addresses: addresses)
    change(&configuration)
    var logger = Logger(label: "tests")
    logger.logLevel = .critical
    let client = RedisClient(configuration, group: MultiThreadedEventLoopGroup.singleton, logger: logger)
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await client.run() }
        do {
            let value = try await body(client)
            await client.close()
            return value
        } catch {
            await client.close()
            throw error
        }
    }
}

extension RedisClient {
    func get(_ key: RedisArgument) async throws(RedisError) -> RedisValue {
        try await send(RedisCommand("GET", [key], key: key, isIdempotent: true))
    }

    @discardableResult
    func set(_ key: RedisArgument, _ value: RedisArgument) async throws(RedisError) -> RedisValue {
        try await send(RedisCommand("SET", [key, value], key: key, isIdempotent: true))
    }

    /// Any command without a key.
    @discardableResult
    func plain(_ name: String, _ arguments: RedisArgument..., deadline: Duration? = nil)
        async throws(RedisError)
        -> RedisValue
    {
        try await send(RedisCommand(name, arguments, key: nil, isIdempotent: false), deadline: deadline)
    }
}

/// The error that a call ends with; nil where it doesn't.
func failure<Value: Sendable>(_ body: @Sendable () async throws(RedisError) -> Value) async -> RedisError? {
    do throws(RedisError) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}

// Starts the servers under Fixtures/ as processes of their own, on loopback ports that the system chooses.

import Foundation
import Logging
import Subprocesses

@testable import Transport

/// A running test server; it ends when this is dropped, and with this process however that ends.
final class TestServer: Sendable {
    enum Kind: String {
        case http1 = "http1_server.py"
        case http2 = "http2_server.py"
    }

    struct Unavailable: Error, CustomStringConvertible {
        let description: String
    }

    struct Counters: Decodable {
        let connections: Int
        let openConnections: Int
        let requests: Int
        let accepted: Int
        let gone: Int
    }

    let port: Int
    private let controlPort: Int
    private let scheme: String
    private let process: Subprocess
    private let control: HTTPClient

    static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

    /// - Parameter clientAuthority: the file of whom clients' certificates have to be signed by; nil asks for none.
    init(_ kind: Kind, certificate: Certificate? = nil, clientAuthority: String? = nil) async throws {
        let python = "/usr/bin/python3"
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw Unavailable(description: "\(python) is missing: apt-get install python3 python3-h2")
        }
        process = try Subprocess(
            [python, Self.fixtures.appending(path: kind.rawValue).path]
                + (certificate.map { [$0.file, $0.keyFile] } ?? [])
                + (clientAuthority.map { [$0] } ?? []),
            environment: ["PYTHONDONTWRITEBYTECODE": "1"])
        let line = try await process.nextLine() ?? ""
        let ports = line.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        guard ports.count == 2 else {
            throw Unavailable(
                description: "\(kind.rawValue) didn't start; it needs: apt-get install python3 python3-h2")
        }
        port = ports[0]
        controlPort = ports[1]
        scheme = certificate == nil ? "http" : "https"
        control = HTTPClient(configuration: .direct, logger: .quiet)
    }

    func url(_ path: String, host: String = "127.0.0.1") -> String { "\(scheme)://\(host):\(port)\(path)" }

    /// Lets one `/step` or `/reset` go one step further.
    func go() async throws {
        _ = try await control.execute(HTTPRequest(url: "http://127.0.0.1:\(controlPort)/go"))
    }

    func counters() async throws -> Counters {
        let response = try await control.execute(HTTPRequest(url: "http://127.0.0.1:\(controlPort)/counters"))
        let text = try await response.body.text()
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Counters.self, from: Data(text.utf8))
    }

    /// Returns the counters once they are as wanted; throws if that takes so long that it can't happen any more.
    @discardableResult
    func counters(where wanted: (Counters) -> Bool) async throws -> Counters {
        for _ in 0..<1000 {
            let now = try await counters()
            if wanted(now) { return now }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw Unavailable(description: "the server's counters never became what the test waits for")
    }

    /// What the server handed to the kernel and the kernel gave to the client, once neither has changed for a while.
    func bytesGivenToClient() async throws -> Int {
        var last = 0
        var unchanged = 0
        for _ in 0..<3000 {
            try await Task.sleep(for: .milliseconds(20))
            let now = try await counters().accepted - bytesInKernel()
            unchanged = now == last && now > 0 ? unchanged + 1 : 0
            last = now
            if unchanged == 25 { return last }
        }
        throw Unavailable(description: "the bytes given to the client never came to rest: \(last)")
    }

    /// Bytes that the kernel holds of this server's connections, on both sides, by /proc/net/tcp.
    private func bytesInKernel() throws -> Int {
        let file = try FileHandle(forReadingFrom: URL(filePath: "/proc/net/tcp"))
        let table = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
        var sum = 0
        for line in table.split(separator: "\n").dropFirst() {
            let columns = line.split(separator: " ")
            guard columns.count > 4 else { continue }
            func port(_ address: Substring) -> Int? {
                address.split(separator: ":").last.flatMap { Int($0, radix: 16) }
            }
            let queues = columns[4].split(separator: ":").compactMap { Int($0, radix: 16) }
            guard queues.count == 2, columns[3] == "01" else { continue }
            if port(columns[1]) == self.port { sum += queues[0] }
            if port(columns[2]) == self.port { sum += queues[1] }
        }
        return sum
    }
}

/// A certificate for localhost and 127.0.0.1 that signs itself, made anew for each run.
struct Certificate {
    let file: String
    let keyFile: String

    /// - Parameter names: whom it is for, in OpenSSL's form.
    init(names: String = "DNS:localhost,IP:127.0.0.1") async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "transport-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        file = folder.appending(path: "certificate.pem").path
        keyFile = folder.appending(path: "key.pem").path
        let made = try await Subprocess.run([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=\(names)", "-keyout", keyFile, "-out", file,
        ])
        guard made.status == 0 else {
            throw TestServer.Unavailable(description: "openssl failed: \(made.output.suffix(300))")
        }
    }
}

extension HTTPClient.Configuration {
    /// Without the proxies of whatever environment the tests run in.
    static var direct: Self {
        var configuration = Self()
        configuration.proxies = ProxySettings()
        // A machine that runs other things too may let a test server wait for minutes.
        configuration.idleTimeout = .seconds(300)
        return configuration
    }
}

extension Logger {
    static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// Runs a test with a client and shuts the client down after it.
func withClient<Result>(
    _ configure: (inout HTTPClient.Configuration) -> Void = { _ in },
    _ body: (HTTPClient) async throws -> Result
) async throws -> Result {
    var configuration = HTTPClient.Configuration.direct
    configure(&configuration)
    let client = HTTPClient(configuration: configuration, logger: .quiet)
    do {
        let result = try await body(client)
        await client.shutdown()
        return result
    } catch {
        await client.shutdown()
        throw error
    }
}

extension HTTPBody {
    func text() async throws(TransportError) -> String {
        String(decoding: try await collect(upTo: 1 << 20), as: UTF8.self)
    }
}

/// The transport error that `body` throws; nil if it throws none.
func transportError(_ body: () async throws -> Void) async throws -> TransportError? {
    do {
        try await body()
        return nil
    } catch let error as TransportError {
        return error
    }
}
